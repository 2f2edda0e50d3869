import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { AgentFetch } from '../agent-fetch.ts';
import type { CheckedReceipt } from '../receipt-desk.ts';
import { type Asset, amountJson, formatAmount, parseAmount } from './amount.ts';
import { exitCodes, Failure, refusalOf, usage } from './failure.ts';
import { type GivenOptions, Settings, withSettings } from './settings.ts';
import type { Terminal } from './terminal.ts';

type Given = GivenOptions & {
  readonly model: string;
  readonly system?: string;
  readonly maxTokens?: string;
  readonly limit?: string;
};
type Message = { readonly role: 'system' | 'user' | 'assistant'; readonly content: string };
type Answer = { readonly text: string; readonly thinking: string; readonly receipt: CheckedReceipt };

/** `chat`: one question, or a conversation; each answer with what it cost. */
export function addChat(program: Command): void {
  const command = program
    .command('chat')
    .helpGroup('An agent’s life:')
    .summary('ask a model; the answer streams, its receipt is checked, its cost is shown')
    .description(
      'Asks a model. Without a prompt it reads standard input, or holds a conversation when that is a terminal (end with Ctrl-D). The answer goes to standard output and what it cost to standard error, so the answer can be piped.',
    )
    .argument('[prompt...]', 'the question')
    .option('-m, --model <model>', 'see tallystick models', 'qwen-plus')
    .option('-s, --system <text>', 'how the model should behave')
    .option('--max-tokens <n>', 'the longest answer; also what bounds the cost')
    .option('--limit <amount>', 'the most that may be at risk at the gateway at any time')
    .addHelpText(
      'after',
      `
Examples:
  $ tallystick chat "What is a tally stick?"
  $ git diff | tallystick chat -m qwen3-coder-plus -s "Write a commit message for this diff"
`,
    )
    .action((words: string[], given: Given) => run(words, given));
  withSettings(command);
}

async function run(words: readonly string[], given: Given): Promise<void> {
  const settings = new Settings(given);
  const { terminal } = settings;
  const maxTokens = given.maxTokens === undefined ? undefined : Number(given.maxTokens);
  if (maxTokens !== undefined && !(Number.isSafeInteger(maxTokens) && maxTokens > 0)) {
    throw usage('--max-tokens is a whole number above 0.');
  }
  const asset = await settings.asset();
  const agentFetch = await settings.agentFetch(
    given.limit === undefined ? undefined : { perVoucher: parseAmount(given.limit, asset) },
  );
  const messages: Message[] = given.system === undefined ? [] : [{ role: 'system', content: given.system }];
  let spent = 0n;
  let calls = 0;
  const ask = async (prompt: string): Promise<Answer> => {
    messages.push({ role: 'user', content: prompt });
    const answer = await answerOf(agentFetch, terminal, {
      model: given.model,
      messages,
      ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    });
    messages.push({ role: 'assistant', content: answer.text });
    spent += answer.receipt.signed.receipt.amount;
    calls += 1;
    const inAll = calls > 1 ? ` · ${formatAmount(spent, asset)} in all` : '';
    terminal.note(terminal.paint('dim', costLine(answer.receipt, asset) + inAll));
    return answer;
  };

  if (words.length === 0 && process.stdin.isTTY && !terminal.json) {
    await converse(agentFetch, terminal, asset, ask);
    return;
  }
  const prompt = words.length > 0 ? words.join(' ') : await standardInput();
  if (prompt.trim() === '') throw usage('Nothing to ask: give a prompt, or pipe one in.');
  const { text, thinking, receipt } = await ask(prompt);
  if (!terminal.json) return;
  const { sequence, usage: used, amount } = receipt.signed.receipt;
  terminal.result(
    {
      text,
      ...(thinking === '' ? {} : { thinking }),
      model: given.model,
      usage: used,
      cost: amountJson(amount, asset),
      receipt: { sequence, digest: receipt.digest, checked: true },
    },
    [],
  );
}

async function converse(
  agentFetch: AgentFetch,
  terminal: Terminal,
  asset: Asset,
  ask: (prompt: string) => Promise<Answer>,
): Promise<void> {
  const lines = createInterface({ input: process.stdin, output: process.stderr, prompt: '› ' });
  lines.prompt();
  for await (const line of lines) {
    if (line.trim() !== '') await ask(line);
    lines.prompt();
  }
  const spent = agentFetch.receipts.reduce((sum, { signed }) => sum + signed.receipt.amount, 0n);
  terminal.note(`\n${agentFetch.receipts.length} calls, ${formatAmount(spent, asset)} in all`);
}

async function answerOf(
  agentFetch: AgentFetch,
  terminal: Terminal,
  body: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.once('SIGINT', interrupt);
  try {
    const response = await terminal.progress('asking', () =>
      agentFetch(`${agentFetch.gateway}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
        signal: interrupted.signal,
      }),
    );
    if (!response.ok) throw await refusalOf(response);
    let text = '';
    let thinking = '';
    let isThinking = false;
    for await (const delta of deltasOf(response)) {
      if (delta.thinking !== '') {
        if (!isThinking) terminal.note(terminal.paint('dim', 'thinking…'));
        isThinking = true;
        thinking += delta.thinking;
      }
      text += delta.text;
      terminal.stream(delta.text);
    }
    if (!text.endsWith('\n')) terminal.stream('\n');
    const outcome = await agentFetch.receiptOf(response);
    if (outcome?.kind === 'receipt') return { text, thinking, receipt: outcome.receipt };
    const why =
      outcome?.kind === 'problem'
        ? outcome.problem.mismatches.map(({ name, detail }) => `${name}: ${detail}`).join('; ')
        : 'the answer broke off before its receipt came';
    throw new Failure(
      exitCodes.notRight,
      'receipt_mismatch',
      `The receipt of this answer is not right: ${why}.`,
    );
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    throw new Failure(
      exitCodes.unexpected,
      'interrupted',
      'Interrupted. What was used until then is charged, and its receipt is in tallystick receipts.',
    );
  } finally {
    process.removeListener('SIGINT', interrupt);
  }
}

type Delta = { readonly text: string; readonly thinking: string };

async function* deltasOf(response: Response): AsyncGenerator<Delta> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data: ') || line.startsWith('data: [DONE]')) continue;
      const event = JSON.parse(line.slice(6)) as {
        choices?: { delta?: { content?: string | null; reasoning_content?: string | null } }[];
        error?: { message?: string };
      };
      if (event.error) {
        throw new Failure(
          exitCodes.gateway,
          'broken_off',
          `The answer broke off: ${event.error.message ?? 'no reason given'}`,
        );
      }
      const delta = event.choices?.[0]?.delta;
      yield { text: delta?.content ?? '', thinking: delta?.reasoning_content ?? '' };
    }
  }
}

function costLine({ signed }: CheckedReceipt, asset: Asset): string {
  const { usage: used, amount, sequence } = signed.receipt;
  const tokens = `${used.input} tokens in, ${used.output} out${used.estimated ? ' (estimated)' : ''}`;
  return `${tokens} · ${formatAmount(amount, asset)} · receipt ${sequence}, checked`;
}

async function standardInput(): Promise<string> {
  if (process.stdin.isTTY) return '';
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
