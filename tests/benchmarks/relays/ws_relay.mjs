// A relay on ws, the WebSocket library of the app SDK and of the older cloud, under Node.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import * as rules from "./relay_rules.mjs";

const HOST = "127.0.0.1";
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = createServer((request, response) => response.writeHead(404).end());

server.on("upgrade", (request, stream, head) => {
  const isGlasses = request.url.startsWith("/glasses-ws");
  const user = isGlasses ? rules.userOf(request.headers.authorization) : null;
  if (isGlasses && !user) return stream.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.isAlive = true;
    socket.on("pong", () => (socket.isAlive = true));
    socket.on("error", () => {});
    if (isGlasses) serveGlasses(socket, user);
    else serveApp(socket);
  });
});

function serveGlasses(socket, user) {
  const session = rules.glassesOpened(user, socket);
  socket.on("message", (data, isBinary) => {
    if (isBinary) rules.glassesSound(session, data);
    else rules.glassesText(session, data.toString());
  });
  socket.on("close", () => rules.glassesClosed(session, socket));
}

function serveApp(socket) {
  let app = null;
  socket.on("message", (data, isBinary) => {
    if (!isBinary) app = rules.appText(app, data.toString(), socket);
  });
  socket.on("close", () => rules.appClosed(app));
}

setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.isAlive) {
      socket.terminate();
      continue;
    }
    socket.isAlive = false;
    socket.ping();
  }
}, rules.HEARTBEAT_MS);
server.listen({ host: HOST, port: 0, backlog: 1024 }, () =>
  console.log(`ready on http://${HOST}:${server.address().port}`),
);
