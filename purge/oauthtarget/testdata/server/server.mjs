// An OpenID provider of oidc-provider on loopback, with registration of clients
// and its management by RFC 7592, and what a test needs beside it.
//
//   node server.mjs MODULES
//
// MODULES is the directory that holds node_modules. The server prints its URL,
// and ends with its standard input. Its clients have a member "realm": tests share
// the process, not the data.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [modules] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(createRequire(join(modules, "package.json")).resolve("oidc-provider")));

// One map for each model. The memory of the library itself forgets the oldest.
const held = new Map();
class Adapter {
  constructor(model) {
    if (!held.has(model)) held.set(model, new Map());
    this.items = held.get(model);
  }
  async upsert(id, payload) { this.items.set(id, payload); }
  async find(id) { return this.items.get(id); }
  async findByUid() {}
  async findByUserCode() {}
  async consume() {}
  async destroy(id) { this.items.delete(id); }
  async revokeByGrantId() {}
}

const broken = new Set();
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(url, {
    adapter: Adapter,
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true, initialAccessToken: "initial" },
      registrationManagement: { enabled: true },
    },
    extraClientMetadata: { properties: ["tenant", "realm"] },
  });
  const callback = provider.callback();
  const clients = () => [...held.get("Client").values()];

  server.on("request", (req, res) => {
    const { pathname, searchParams: query } = new URL(req.url, url);
    switch (pathname) {
      case "/test/left":
        res.end(String(clients().filter((c) => c.realm === query.get("realm") && c.tenant === query.get("tenant")).length));
        return;
      case "/test/break":
        broken.add(query.get("realm"));
        res.end();
        return;
      case "/test/revoke": // the token of a client, which stays
        for (const [id, token] of held.get("RegistrationAccessToken")) {
          if (token.clientId === query.get("client")) held.get("RegistrationAccessToken").delete(id);
        }
        res.end();
        return;
    }
    if (broken.has(held.get("Client")?.get(pathname.replace(/^\/reg\//, ""))?.realm)) {
      res.setHeader("content-type", "text/html");
      res.end("<title>Maintenance</title>");
      return;
    }
    callback(req, res);
  });
  console.log(url);
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
