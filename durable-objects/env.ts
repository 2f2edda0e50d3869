import type { AgentAccount } from './account/agent-account.ts';
import type { Chain } from './chain/chain.ts';
import type { Counters } from './counters/counters.ts';
import type { LogIntake } from './log/log-intake.ts';
import type { ReceiptLog } from './log/receipt-log.ts';
import type { Publisher } from './publisher/publisher.ts';

/** The bindings of wrangler.toml and the secrets of `wrangler secret`. Read through config.ts, never directly. */
export type Env = {
  readonly AGENT_ACCOUNT: DurableObjectNamespace<AgentAccount>;
  readonly RECEIPT_LOG: DurableObjectNamespace<ReceiptLog>;
  readonly LOG_INTAKE: DurableObjectNamespace<LogIntake>;
  readonly PUBLISHER: DurableObjectNamespace<Publisher>;
  readonly CHAIN: DurableObjectNamespace<Chain>;
  readonly COUNTERS: DurableObjectNamespace<Counters>;
  /** Points for each call, where the deployment has the binding. */
  readonly ANALYTICS?: AnalyticsEngineDataset;
  /** The console's files, console/dist. */
  readonly ASSETS: Fetcher;
  /** Where agents reach this gateway: what `@scheme` and `@authority` of a signature are checked against. */
  readonly PUBLIC_ORIGIN: string;
  /** "universal", or "eoa-only" to take no signatures of contract accounts; universal when not given. */
  readonly ACCOUNT_VERIFICATION?: string;
  /** An IPFS gateway's origin, to read agents' registration files from. */
  readonly IPFS_GATEWAY?: string;
  /** JSON: see `ChainConfig` in config.ts. */
  readonly CHAINS: string;
  /** The chain the log is anchored on: one of CHAINS. */
  readonly HOME_CHAIN_ID: string;
  readonly ANCHOR: string;
  /** The log's OperatorBond, on the home chain: see docs/evidence.md. */
  readonly BOND?: string;
  readonly LOG_OWNER: string;
  readonly LOG_ORIGIN: string;
  readonly SEAL_EVERY_SECONDS: string;
  readonly SEAL_AT_ENTRIES: string;
  /** Objects between accounts and the log; 0 when not given: accounts send to the log themselves. See docs/scaling.md. */
  readonly LOG_INTAKES?: string;
  readonly PUBLISH_EVERY_SECONDS: string;
  readonly MERGE_DELAY_SECONDS: string;
  /** How long a request's funds stay set aside at most; 600 when not given. */
  readonly HOLD_SECONDS?: string;
  /** Rows of an account's table before the next is begun, and seconds before a full one is packed: 1000 and 7200. */
  readonly ARCHIVE_ROWS?: string;
  readonly ARCHIVE_AFTER_SECONDS?: string;
  /** Where old receipts go; without it, into a row of their account. */
  readonly RECEIPT_ARCHIVE?: R2Bucket;
  /** Where readers find the log's full tiles; without it, at the log itself. */
  readonly TILES?: R2Bucket;
  /** "zero-g-storage" or "zero-g-da"; the variables below belong to the one or the other. */
  readonly DA: string;
  /** "node" or "indexer". */
  readonly ZERO_G_STORAGE_KIND?: string;
  readonly ZERO_G_STORAGE_URL?: string;
  readonly ZERO_G_FLOW?: string;
  readonly ZERO_G_DA_URL?: string;
  readonly ZERO_G_DA_ENTRANCE?: string;
  /** JSON: who answers, in order. See docs/upstreams.md. */
  readonly UPSTREAMS: string;
  /** Secrets. Those of upstreams are named by UPSTREAMS; this one is the default's. */
  readonly QWEN_API_KEY?: string;
  readonly OPERATOR_KEY: string;
  readonly RECEIPT_KEY: string;
  /** JSON, a secret: receipt keys that were exchanged, `[{"until": <Unix seconds>, "key": "0x…"}]`, the oldest first. */
  readonly RECEIPT_KEYS_BEFORE?: string;
  readonly HEAD_KEY: string;
  readonly CHECKPOINT_KEY: string;
  /** What opens /metrics, /operator/doctor and the console's operator page: at least 32 characters. Without it they are not there. */
  readonly OPERATOR_TOKEN?: string;
};
