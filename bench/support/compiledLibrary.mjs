/**
 * Makes what imports lib/, toolcalls/ or server/ get dist/, the package as it is published (`npm run build`): tsx, which runs the benches, adds work to
 * every function that is made, and threads would first compile their own sources. Used as `node --import tsx --import` this.
 */
import { register } from "node:module";

const hooks = new URL("./compiledLibrary.hooks.mjs", import.meta.url);
register(hooks, { data: { root: new URL("../../", import.meta.url).href } });
