// Written by contracts-abi/generate.mjs from contracts/src. Do not edit.
export const smartAccountRuntime = {"bytes":1777,"immutables":[[235,32],[357,32],[545,32]],"maskedHash":"0x36b280569161bd43354d42daa70ef17344c75fb4f9593dfa8551d2ac97d21d28"} as const;
