/** A compiled WebAssembly module, as workerd and wrangler import one. The files are made by build-wasm.mjs. */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
