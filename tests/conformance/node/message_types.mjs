// What the SDK's own declarations say about its messages, as JSON on stdout:
// messages {union: {type on the wire: {field: {optional, text, fields}}}}, read by the TypeScript
// compiler, and capabilities: what it knows of each model of glasses.
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
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  found[name] = {};
  for (const message of membersOf(checker.getDeclaredTypeOfSymbol(target)))
    for (const wireType of wireTypesOf(message)) found[name][wireType] = fieldsOf(message);
}
const { HARDWARE_CAPABILITIES } = createRequire(entry)("@mentra/types");
process.stdout.write(JSON.stringify({ messages: found, capabilities: HARDWARE_CAPABILITIES }));
