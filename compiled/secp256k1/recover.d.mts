export declare function recoveryModule(alsoExported?: readonly string[]): Uint8Array<ArrayBuffer>;
