import { type Step, tablesOf } from '../schema.ts';

/** The account's tables, step by step. `requests_<n>` has to get in its `CREATE TABLE` what a step gives it here. */
export const accountSchema: readonly Step[] = [
  // 1: when a hold ended, one way or the other.
  (sql) => {
    for (const table of tablesOf(sql, 'requests_*'))
      sql.exec(`ALTER TABLE ${table} ADD COLUMN ended_ms INTEGER`);
  },
];
