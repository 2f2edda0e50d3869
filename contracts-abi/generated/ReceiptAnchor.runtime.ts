// Written by contracts-abi/generate.mjs from contracts/src. Do not edit.
export const receiptAnchorRuntime = {"bytes":9551,"immutables":[[6403,32],[6446,32],[6871,32],[6913,32],[6955,32],[7036,32],[7076,32]],"maskedHash":"0x3061222d5d73e361c6aa3153aa2834538e3e1428b801b3dba4ac10eb495db700"} as const;
