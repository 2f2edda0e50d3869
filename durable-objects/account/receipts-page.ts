/** Receipts shown in one page. */
export const receiptsPage = 100;
