// An app as its author would write it, on the real SDK and nothing else: captions on the glasses.
// It says on its first line of stdout where it listens; PORT 0 picks a free one.
import { AppServer } from "@mentra/sdk";
import { createRequire } from "node:module";

const http = createRequire(import.meta.url)("node:http");
const createServer = http.createServer;
http.createServer = (...args) => {
  const server = createServer(...args);
  server.on("listening", () => process.stderr.write(`listening ${server.address().port}\n`));
  return server;
};

class Captions extends AppServer {
  async onSession(session) {
    session.layouts.showTextWall("Captions are on");
    session.events.onTranscription((said) => session.layouts.showTextWall(said.text));
  }
}

await new Captions({ packageName: "com.t.captions", apiKey: "secret", port: Number(process.env.PORT ?? 0) }).start();
