// A plain relay on Node's ws, for the benchmark: glasses' events to every app, wrapped. Nothing else.
import { WebSocketServer } from "ws";

const HOST = "127.0.0.1";
const appsByUser = new Map();
const appsOf = (user) => appsByUser.get(user) ?? appsByUser.set(user, new Map()).get(user);

const server = new WebSocketServer({ host: HOST, port: 0, perMessageDeflate: false });
server.on("connection", (socket, request) => {
  const url = new URL(request.url, "http://relay");
  const user = url.searchParams.get("user");
  socket.on("error", () => {});
  if (url.pathname === "/glasses") {
    socket.on("message", (frame) => {
      const event = JSON.parse(frame);
      const timestamp = new Date().toISOString();
      for (const [sessionId, app] of appsOf(user))
        app.send(JSON.stringify({ type: "data_stream", sessionId, streamType: event.type, data: event, timestamp }));
    });
  } else {
    const sessionId = `${user}-${url.searchParams.get("package")}`;
    appsOf(user).set(sessionId, socket);
    socket.on("close", () => appsOf(user).delete(sessionId));
  }
});
setInterval(() => server.clients.forEach((socket) => socket.ping()), 10_000);
server.on("listening", () => console.log(`ready on http://${HOST}:${server.address().port}`));
