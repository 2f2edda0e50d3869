// Written by contracts-abi/generate.mjs from contracts/src. Do not edit.
export const smartAccountFactoryRuntime = {"bytes":2647,"immutables":[],"maskedHash":"0x2c3f3ba21b1e1d8a9045ec24a1c1b77aa1117d952dc9b1937dfe1db297c50b23"} as const;
