// A relay on Bun's own WebSocket server, which the existing cloud runs on.
import * as rules from "./relay_rules.mjs";

const HOST = "127.0.0.1";
const sockets = new Set();

function upgrade(request, server) {
  const isGlasses = new URL(request.url).pathname === "/glasses-ws";
  const user = isGlasses ? rules.userOf(request.headers.get("authorization")) : null;
  if (isGlasses && !user) return new Response(null, { status: 401 });
  if (server.upgrade(request, { data: { isGlasses, user, session: null, app: null, isAlive: true } })) return;
  return new Response(null, { status: 404 });
}

const websocket = {
  perMessageDeflate: false,
  sendPings: false, // the heartbeat below does
  idleTimeout: 120,
  open(socket) {
    sockets.add(socket);
    if (socket.data.isGlasses) socket.data.session = rules.glassesOpened(socket.data.user, socket);
  },
  message(socket, data) {
    const about = socket.data;
    if (!about.isGlasses) {
      if (typeof data === "string") about.app = rules.appText(about.app, data, socket);
    } else if (typeof data === "string") rules.glassesText(about.session, data);
    else rules.glassesSound(about.session, data);
  },
  pong(socket) {
    socket.data.isAlive = true;
  },
  close(socket) {
    sockets.delete(socket);
    if (socket.data.isGlasses) rules.glassesClosed(socket.data.session, socket);
    else rules.appClosed(socket.data.app);
  },
};

const server = Bun.serve({ hostname: HOST, port: 0, fetch: upgrade, websocket });
setInterval(() => {
  for (const socket of sockets) {
    if (!socket.data.isAlive) {
      socket.terminate();
      continue;
    }
    socket.data.isAlive = false;
    socket.ping();
  }
}, rules.HEARTBEAT_MS);
console.log(`ready on http://${HOST}:${server.port}`);
