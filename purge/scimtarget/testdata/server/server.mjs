// A SCIM 2.0 server of scimmy-routers on loopback, with what a test needs beside
// SCIM: to add resources and to count them.
//
//   node server.mjs MODULES [bulk|nobulk]
//
// MODULES is the directory that holds node_modules. The server prints its URL,
// and ends with its standard input. A bearer token is the name of a realm, which
// begins empty: tests share the process, not the data.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { randomUUID } from "node:crypto";
import { join } from "node:path";

const [modules, mode = "bulk"] = process.argv.slice(2);
const resolve = createRequire(join(modules, "package.json")).resolve;
const load = (name) => import(pathToFileURL(resolve(name)));

// require and import get two copies of scimmy; the routers must be of the same.
const { default: express } = await load("express");
const { SCIMMY, SCIMMYRouters } = await load("scimmy-routers");

const urn = "urn:ietf:params:scim:schemas:extension:purger:2.0:Tenancy";
const extension = new SCIMMY.Types.SchemaDefinition("Tenancy", urn, "Whom a resource belongs to", [
  new SCIMMY.Types.Attribute("string", "tenantId", { caseExact: true }),
  new SCIMMY.Types.Attribute("string", "account"),
]);

const realms = new Map();
const realm = (name) => {
  if (!realms.has(name)) realms.set(name, { "/Users": new Map(), "/Groups": new Map(), broken: false, log: [] });
  return realms.get(name);
};

for (const Resource of [SCIMMY.Resources.User, SCIMMY.Resources.Group]) {
  const held = (ctx) => ctx[Resource.endpoint];
  const one = (resource, ctx) => {
    const found = held(ctx).get(resource.id);
    if (!found) throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
    return found;
  };
  SCIMMY.Resources.declare(Resource.extend(extension))
    .ingress((resource, data, ctx) => {
      const id = resource.id ?? randomUUID();
      const now = new Date();
      const kept = { ...JSON.parse(JSON.stringify(data)), id, meta: { created: now, lastModified: now } };
      held(ctx).set(id, kept);
      return kept;
    })
    .egress((resource, ctx) => {
      if (resource.id) return one(resource, ctx);
      const all = [...held(ctx).values()];
      const { filter } = resource;
      if (!filter) return all;
      // A filter has the names of an extension in one piece.
      const flat = all.map((r) => ({ id: r.id, [`${urn}:tenantId`]: r[urn].tenantId, [`${urn}:account`]: r[urn].account }));
      const account = filter[0][`${urn}:account`]?.[1];
      // The filter of scimmy minds the case of every attribute. Of one that is
      // not case-exact RFC 7643, section 2.2, says otherwise.
      const matched = account === undefined ? filter.match(flat)
        : flat.filter((r) => r[`${urn}:account`]?.toLowerCase() === account.toLowerCase());
      return matched.map((r) => held(ctx).get(r.id));
    })
    .degress((resource, ctx) => {
      one(resource, ctx);
      held(ctx).delete(resource.id);
    });
}

const app = express();
const secret = (req) => (req.header("authorization") ?? "").replace(/^Bearer /, "");

app.post("/test/add", express.json(), (req, res) => {
  const { tenant, endpoint, attribute, n } = req.body;
  const held = realm(secret(req))[endpoint];
  for (let i = 0; i < n; i++) {
    const id = randomUUID();
    const name = endpoint === "/Users" ? { userName: `u${id}` } : { displayName: `g${id}` };
    const core = endpoint === "/Users" ? SCIMMY.Schemas.User.id : SCIMMY.Schemas.Group.id;
    held.set(id, { schemas: [core, urn], id, ...name, [urn]: { [attribute]: tenant }, meta: { created: new Date(), lastModified: new Date() } });
  }
  res.status(204).end();
});
app.get("/test/left", (req, res) => {
  const { tenant, endpoint, attribute } = req.query;
  const all = [...realm(secret(req))[endpoint].values()];
  res.json(all.filter((r) => r[urn][attribute] === tenant).length);
});
app.get("/test/log", (req, res) => res.json(realm(secret(req)).log));
app.post("/test/break", (req, res) => {
  realm(secret(req)).broken = true;
  res.status(204).end();
});

app.use("/scim/v2", (req, res, next) => {
  const { broken, log } = realm(secret(req));
  log.push(`${req.method} ${req.url.split("?")[0].replace(/[0-9a-f-]{36}/, "ID")}`);
  if (broken) return res.status(200).type("html").send("<title>Maintenance</title>");
  next();
});
const routers = new SCIMMYRouters({
  type: "bearer",
  handler: (req) => {
    if (!secret(req).startsWith("realm-")) throw new Error("the token is none of this server");
  },
  context: (req) => realm(secret(req)),
});
SCIMMY.Config.set(mode === "bulk" ? { bulk: { supported: true, maxOperations: 40, maxPayloadSize: 4000 } } : { bulk: false });
app.use("/scim/v2", routers);

const server = app.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
