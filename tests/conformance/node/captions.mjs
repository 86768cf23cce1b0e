// An app as its author would write it, on the real SDK and nothing else: captions on the glasses.
// It says where it listens on the file descriptor PORT_FD; PORT 0 picks a free one.
import fs from "node:fs";
import { createRequire } from "node:module";
import { AppServer } from "@mentra/sdk";

const http = createRequire(import.meta.url)("node:http");
const createServer = http.createServer;
http.createServer = (...args) => {
  const server = createServer(...args);
  server.on("listening", () => fs.writeSync(Number(process.env.PORT_FD ?? 2), `${server.address().port}\n`));
  return server;
};

class Captions extends AppServer {
  async onSession(session) {
    session.layouts.showTextWall("Captions are on");
    session.events.onTranscription((said) => session.layouts.showTextWall(said.text));
  }
}

await new Captions({ packageName: "com.t.captions", apiKey: "secret", port: Number(process.env.PORT ?? 0) }).start();
