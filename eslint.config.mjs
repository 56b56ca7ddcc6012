// What the compiler cannot see: promises nobody waits for, and the few habits of CONTRIBUTING.md that a rule can check.
import tseslint from "typescript-eslint";
import { roomsPlugin, upperRooms } from "./scripts/check/rooms.mjs";

const bannedSyntax = [
  { selector: "TSEnumDeclaration", message: "Use a union of literals." },
  { selector: "ExportDefaultDeclaration", message: "Use a named export." },
  { selector: "TSInterfaceDeclaration[id.name=/^I[A-Z][a-z]/]", message: "No I prefix." },
  { selector: "PropertyDefinition[accessibility='private']", message: "Use a #private field." },
  {
    selector: "MethodDefinition[accessibility='private'][kind!='constructor']",
    message: "Use a #private method.",
  },
];

/** @type {import("typescript-eslint").ConfigArray[number]["rules"]} */
const rules = {
  "@typescript-eslint/no-floating-promises": "error",
  "@typescript-eslint/no-misused-promises": "error",
  "@typescript-eslint/await-thenable": "error",
  "@typescript-eslint/return-await": "error",
  "@typescript-eslint/only-throw-error": "error",
  "@typescript-eslint/switch-exhaustiveness-check": "error",
  "@typescript-eslint/no-explicit-any": "error",
  "@typescript-eslint/no-unnecessary-type-assertion": "error",
  "@typescript-eslint/consistent-type-imports": "error",
  "no-restricted-syntax": ["error", ...bannedSyntax],
  "prefer-const": "error",
  "no-var": "error",
  eqeqeq: ["error", "always", { null: "ignore" }],
};

// Tools that read a default export from their configuration file.
const configFiles = ["*.config.ts", "*.config.mjs"];

export default tseslint.config(
  { ignores: ["dist", "build*", "native", "packages", "bench/output", "examples/output"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts", "**/*.mjs"],
    languageOptions: { parser: tseslint.parser, parserOptions: { projectService: true } },
    plugins: { "@typescript-eslint": tseslint.plugin },
    rules,
  },
  {
    files: ["lib", ...Object.keys(upperRooms)].map((room) => `${room}/**/*.ts`),
    plugins: { rooms: roomsPlugin },
    rules: { "rooms/arrows": "error" },
  },
  { files: configFiles, rules: { "no-restricted-syntax": "off" } },
);
