// What both relays in JavaScript do, written as the existing cloud does it: JSON.parse of every
// message, JSON.stringify for every app. A socket here has send(data) and close(code, reason).
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export const HEARTBEAT_MS = Number(process.env.HEARTBEAT_S ?? 10) * 1000;
const SECRET = process.env.RELAY_SECRET;
const KEY_HASH = process.env.RELAY_KEY_HASH;
const users = new Map();

/** The user whom a core token in this header names, or null: HS256 (protocol.md 1.2). */
export function userOf(authorization) {
  const [head, claims, signature] = (authorization ?? "").split(" ")[1]?.split(".") ?? [];
  if (!signature) return null;
  const right = createHmac("sha256", SECRET).update(`${head}.${claims}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
  if (JSON.parse(Buffer.from(head, "base64url")).alg !== "HS256") return null;
  return JSON.parse(Buffer.from(claims, "base64url")).email ?? null;
}

const now = () => new Date().toISOString();

const streamOf = (event) =>
  event.type === "transcription" ? `transcription:${event.transcribeLanguage ?? "en-US"}` : event.type;

/** The glasses of ``user`` are there: tell them, and return what their messages belong to. */
export function glassesOpened(user, socket) {
  let session = users.get(user);
  if (!session) users.set(user, (session = { user, apps: new Map() }));
  session.glasses = socket;
  socket.send(JSON.stringify({ type: "connection_ack", sessionId: user, timestamp: now() }));
  return session;
}

export function glassesClosed(session, socket) {
  if (session.glasses !== socket) return;
  session.glasses = null;
  if (session.apps.size === 0) users.delete(session.user);
}

export function glassesText(session, text) {
  const event = JSON.parse(text);
  const streamType = streamOf(event);
  for (const app of session.apps.values()) {
    if (!app.streams.has(streamType)) continue;
    const sessionId = app.sessionId;
    app.socket.send(JSON.stringify({ type: "data_stream", sessionId, streamType, data: event, timestamp: now() }));
  }
}

export function glassesSound(session, sound) {
  for (const app of session.apps.values()) if (app.streams.has("audio_chunk")) app.socket.send(sound);
}

/** A message of an app: its init first, then what it asks for. Returns the app's entry. */
export function appText(app, text, socket) {
  const message = JSON.parse(text);
  if (!app) return init(message, socket);
  if (message.type === "subscription_update") app.streams = new Set(message.subscriptions);
  else if (message.type === "display_event") app.session.glasses?.send(JSON.stringify(message));
  return app;
}

function init({ type, packageName, sessionId, apiKey }, socket) {
  const session = users.get(sessionId?.slice(0, -1 - packageName?.length));
  const hash = createHash("sha256").update(apiKey ?? "").digest("hex");
  if (type !== "tpa_connection_init" || hash !== KEY_HASH || !session) {
    socket.send(JSON.stringify({ type: "tpa_connection_error", message: "refused", timestamp: now() }));
    socket.close(1008, "refused");
    return null;
  }
  const app = { session, socket, sessionId, streams: new Set() };
  session.apps.set(sessionId, app);
  const ack = { type: "tpa_connection_ack", sessionId, settings: [], mentraosSettings: {}, timestamp: now() };
  socket.send(JSON.stringify(ack));
  return app;
}

export function appClosed(app) {
  if (app?.session.apps.get(app.sessionId) === app) app.session.apps.delete(app.sessionId);
}
