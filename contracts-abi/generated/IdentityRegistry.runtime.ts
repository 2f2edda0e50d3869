// Written by contracts-abi/generate.mjs from contracts/src. Do not edit.
export const identityRegistryRuntime = {"bytes":12074,"immutables":[[5316,32],[5359,32],[7571,32],[7613,32],[7655,32],[7736,32],[7776,32]],"maskedHash":"0xcfc6a58e623a977a95fe6ef6adb47566686b57500f442d7e47f42fc5439e1288"} as const;
