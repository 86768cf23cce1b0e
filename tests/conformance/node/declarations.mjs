// What the SDK's own declarations say, read by the TypeScript compiler, as JSON on stdout:
// messages {union: {type on the wire: {field: {optional, text, fields}}}}; capabilities: what it
// knows of each model of glasses; methods: what an app's author may call, as paths from a session
// ("events.onButtonPress", "device.state.batteryLevel.onChange"), but for what is private, what is
// only passed on from elsewhere, such as a logger, and what has a symbol for its name.
import { createRequire } from "node:module";
import path from "node:path";
import ts from "typescript";

const UNIONS = ["AppToCloudMessage", "CloudToAppMessage", "GlassesToCloudMessage", "CloudToGlassesMessage"];
const entry = path.join(path.dirname(createRequire(import.meta.url).resolve("@mentra/sdk")), "index.d.ts");
const program = ts.createProgram([entry], {
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  module: ts.ModuleKind.NodeNext,
  skipLibCheck: true,
  strict: true,
  types: [],
});
const checker = program.getTypeChecker();
const exported = new Map(
  checker
    .getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)))
    .map((symbol) => [symbol.name, symbol]),
);

const originalOf = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
const membersOf = (type) => (type.isUnion() ? type.types : [type]);
const wireTypesOf = (type) => {
  const tag = checker.getPropertyOfType(type, "type");
  if (!tag) return [];
  return membersOf(checker.getTypeOfSymbol(tag)).map((one) => one.value);
};

const withoutUndefined = (type) => checker.getNonNullableType(type);
const fromSdk = (symbol) =>
  (symbol?.declarations ?? []).some((one) => one.getSourceFile().fileName.includes("@mentra"));
const declaredInSdk = (type) =>
  fromSdk(type.symbol) || checker.getPropertiesOfType(type).some(fromSdk); // such as a Partial<...>
const isObject = (type) => Boolean(type.flags & ts.TypeFlags.Object) && declaredInSdk(type);

const shapeOf = (type) => {
  const inner = withoutUndefined(type);
  const element = checker.getIndexTypeOfType(inner, ts.IndexKind.Number);
  const found = [...membersOf(element ?? inner)].filter(isObject);
  return Object.assign({}, ...found.map(fieldsOf));
};
const fieldsOf = (type) =>
  Object.fromEntries(
    checker.getPropertiesOfType(type).map((field) => {
      const of = checker.getTypeOfSymbol(field);
      const optional = Boolean(field.flags & ts.SymbolFlags.Optional);
      return [field.name, { optional, text: checker.typeToString(withoutUndefined(of)), fields: shapeOf(of) }];
    }),
  );

const found = {};
for (const name of UNIONS) {
  const symbol = exported.get(name);
  if (!symbol) throw new Error(`the SDK exports no ${name}`);
  found[name] = {};
  for (const message of membersOf(checker.getDeclaredTypeOfSymbol(originalOf(symbol))))
    for (const wireType of wireTypesOf(message)) found[name][wireType] = fieldsOf(message);
}

// ---- methods ----

const inSdk = (symbol) =>
  (symbol.declarations ?? []).some((one) => one.getSourceFile().fileName.includes("@mentra/sdk/dist/"));
const isPrivate = (symbol) =>
  (symbol.declarations ?? []).some((one) => ts.getCombinedModifierFlags(one) & ts.ModifierFlags.Private);
// Data has no methods; a module of a session has.
const isModule = (type) => checker.getPropertiesOfType(type).some((one) => inSdk(one) && !isPrivate(one));

function pathsFrom(type, prefix, seen) {
  if (seen.has(type)) return []; // a module that leads back to its owner
  return checker
    .getPropertiesOfType(type)
    .filter((member) => inSdk(member) && !isPrivate(member) && !member.name.startsWith("__@"))
    .flatMap((member) => {
      const of = checker.getNonNullableType(checker.getTypeOfSymbol(member));
      const where = prefix + member.name;
      if (member.flags & ts.SymbolFlags.Method) return [where];
      const inside = of.flags & ts.TypeFlags.Object && isModule(of);
      return inside ? pathsFrom(of, `${where}.`, new Set(seen).add(type)) : [];
    });
}

const session = checker.getDeclaredTypeOfSymbol(originalOf(exported.get("AppSession")));

const { HARDWARE_CAPABILITIES } = createRequire(entry)("@mentra/types");
const methods = pathsFrom(session, "", new Set());
process.stdout.write(JSON.stringify({ messages: found, capabilities: HARDWARE_CAPABILITIES, methods }));
