// Written by `npm run deploy:contracts` from contracts-abi/deployments/. Do not edit.
import type { DeploymentRecord } from './deployment-record.ts';

/** What has been deployed, by chain id. */
export const deployments: Readonly<Record<number, DeploymentRecord>> = {};
