// An app on the real SDK whose behaviour a test decides while it runs.
//
// Commands come in as JSON lines on stdin, events go out as JSON lines on the file descriptor
// EVENTS_FD; stdout and stderr carry only the SDK's own log. A script is a list of steps that
// onSession carries out for one user; a step calls a method of the session by its path:
//   {"call": "events.onButtonPress", "args": [{"$handler": "button"}]}
// where {"$handler": NAME} becomes a function that reports each call as a "fired" event, and returns
// what stands as "returns" beside it; it may stand inside an object, too.
// Other steps: {"wait": MS}, {"throw": MESSAGE}, {"later": STEP} for a step that nobody waits for,
// and {"undo": NAME} for the function that a call with "as": NAME has returned, or with "method"
// for that method of what it has returned. A process that takes the place of a killed one is
// given the scripts in SCRIPTS, because its first webhook may come before any command.
import fs from "node:fs";
import { createRequire } from "node:module";
import readline from "node:readline";
import { AppServer } from "@mentra/sdk";
import { WebSocket } from "ws";

const eventsFd = Number(process.env.EVENTS_FD);
const emit = (event, fields) => fs.writeSync(eventsFd, JSON.stringify({ event, ...fields }) + "\n");
fs.writeSync(eventsFd, "\n"); // ends the line that a killed process may have left unfinished

// ---- what passes over the wire, seen below the SDK ----

const socketsBySession = new Map();
const sessionOf = (socket) => socket.conformanceSession ?? null;
const shown = (data, isBinary) => (isBinary ? { hex: Buffer.from(data).toString("hex") } : { text: String(data) });

// Inits that are held back: how many more, of which URL if not of any, and what sends them after all.
const held = { more: 0, url: undefined, inits: [] };

const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data, ...rest) {
  if (typeof data === "string" && data.includes("tpa_connection_init")) {
    this.conformanceSession = JSON.parse(data).sessionId;
    socketsBySession.set(this.conformanceSession, this);
    if (held.more > 0 && [undefined, this.url].includes(held.url)) {
      held.more -= 1;
      held.inits.push(() => send.call(this, data, ...rest));
      return emit("held", { session: sessionOf(this), url: this.url });
    }
  }
  emit("sent", { session: sessionOf(this), url: this.url, ...shown(data, typeof data !== "string") });
  return send.call(this, data, ...rest);
};
const emitOnSocket = WebSocket.prototype.emit;
WebSocket.prototype.emit = function (name, ...args) {
  if (name === "message") emit("received", { session: sessionOf(this), ...shown(args[0], args[1]) });
  if (name === "close") emit("closed", { session: sessionOf(this), url: this.url, code: args[0], reason: String(args[1]) });
  if (name === "unexpected-response") emit("refused", { status: args[1].statusCode });
  return emitOnSocket.call(this, name, ...args);
};

// ---- what the cloud calls over HTTP, seen below Express ----

const require = createRequire(import.meta.url);
const httpModule = require("node:http");
const createServer = httpModule.createServer;
httpModule.createServer = (...args) => {
  const server = createServer(...args);
  server.on("listening", () => emit("listening", { port: server.address().port }));
  server.on("request", (request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => emit("http", { method: request.method, path: request.url, body: parsed(chunks) }));
    response.on("finish", () =>
      emit("answered", { method: request.method, path: request.url, body: parsed(chunks), status: response.statusCode }));
  });
  return server;
};
function parsed(chunks) {
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return null;
  }
}

// ---- the app ----

const scripts = new Map(Object.entries(JSON.parse(process.env.SCRIPTS ?? "{}")));
const sessions = new Map();
const undoing = new Map();

class ScriptedApp extends AppServer {
  async onSession(session, sessionId, userId) {
    const device = session.device.state.getSnapshot();
    emit("session", { session: sessionId, user: userId, device, capabilities: session.capabilities, settings: session.settings.getAll?.() ?? null });
    sessions.set(userId, session);
    session.events.onError((error) => emit("error", { session: sessionId, message: error.message }));
    for (const step of scripts.get(userId) ?? []) await carryOut(session, step, sessionId);
    emit("ready", { session: sessionId, user: userId });
  }
  async onStop(sessionId, userId, reason) {
    emit("stopped", { session: sessionId, user: userId, reason, at: Date.now() / 1000 });
    if (!app.config.keepSocketOnStop && !app.config.keepSocketsOf?.includes(userId)) await super.onStop(sessionId, userId, reason);
  }
}

// What a tool replies is configured as toolReply; one whose parameters have "fail" throws that.
ScriptedApp.prototype.onToolCall = async ({ toolId, toolParameters, userId, activeSession }) => {
  emit("tool", { user: userId, tool: toolId, parameters: toolParameters, session: activeSession?.getSessionId() ?? null });
  if (toolParameters?.fail !== undefined) throw new Error(toolParameters.fail);
  return app.config.toolReply;
};

async function carryOut(session, step, sessionId) {
  if (step.wait !== undefined) return new Promise((resolve) => setTimeout(resolve, step.wait));
  if (step.throw !== undefined) throw new Error(step.throw);
  if (step.later !== undefined) return void setTimeout(() => carryOut(session, step.later, sessionId));
  if (step.undo !== undefined) {
    const kept = undoing.get(sessionId + step.undo);
    return void (step.method === undefined ? kept?.() : kept[step.method]());
  }
  const path = step.call.split(".");
  const method = path.pop();
  const owner = path.reduce((object, name) => object[name], session);
  const result = owner[method](...(step.args ?? []).map((arg) => materialised(arg, sessionId)));
  if (step.as !== undefined) undoing.set(sessionId + step.as, result);
  return result;
}

function materialised(arg, sessionId) {
  if (arg === null || typeof arg !== "object" || Array.isArray(arg)) return arg;
  if (arg.$handler === undefined)
    return Object.fromEntries(Object.entries(arg).map(([name, one]) => [name, materialised(one, sessionId)]));
  return (data) => {
    emit("fired", { session: sessionId, handler: arg.$handler, data: printable(data) });
    return arg.returns;
  };
}

function printable(data) {
  if (data?.timeoutId !== undefined) return { ...data, session: undefined, timeoutId: undefined }; // circles
  if (data?.arrayBuffer === undefined) return data;
  return { ...data, arrayBuffer: Buffer.from(data.arrayBuffer).toString("hex") };
}

// ---- commands ----

const app = new ScriptedApp({ packageName: process.env.PACKAGE, apiKey: process.env.API_KEY, port: Number(process.env.PORT ?? 0) });

// A page of the app: who looks at it, as the SDK's own middleware found out.
app.getExpressApp().get("/webview", (request, response) =>
  response.json({ user: request.authUserId ?? null, active: request.activeSession?.getSessionId() ?? null }));

const commands = {
  mark: () => null,
  script: ({ user, steps }) => void scripts.set(user, steps),
  run: async ({ user, steps }) => {
    const session = sessions.get(user);
    let value;
    for (const step of steps) value = await carryOut(session, step, session.getSessionId());
    return printable(value) ?? null;
  },
  raw: ({ session, frames }) => {
    for (const frame of frames) send.call(socketsBySession.get(session), frame.hex === undefined ? frame.text : Buffer.from(frame.hex, "hex"));
  },
  reset: ({ session }) => void socketsBySession.get(session)._socket.resetAndDestroy(),
  hold: ({ inits, url }) => void Object.assign(held, { more: inits, url }),
  release: () => held.inits.splice(0).forEach((sendIt) => sendIt()),
  configure: (fields) => void Object.assign(app.config, fields),
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, command, ...fields } = JSON.parse(line);
  try {
    emit("done", { id, value: (await commands[command](fields)) ?? null });
  } catch (error) {
    emit("done", { id, error: String(error) });
  }
}).on("close", () => process.exit(0)); // the test program is gone

await app.start();
