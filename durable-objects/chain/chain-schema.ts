import { type Step, tablesOf } from '../schema.ts';

/** The chain object's tables, step by step. */
export const chainSchema: readonly Step[] = [
  // 1: whose nonce a transaction has, so that the operator's key can be exchanged while some are on their way.
  (sql) => {
    if (tablesOf(sql, 'transactions').length > 0) sql.exec('ALTER TABLE transactions ADD COLUMN sender TEXT');
  },
];
