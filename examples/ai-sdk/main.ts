// The Vercel AI SDK: `createTallystick` is a provider like any other, over their own openai-compatible one.
import { generateText, streamText } from 'ai';
import { createTallystick } from 'tallystick/ai-sdk';
import { fromPrivateKey } from 'tallystick/wallets';

const tallystick = createTallystick({
  wallet: fromPrivateKey(process.env['TALLYSTICK_KEY'] ?? ''),
  agent: process.env['TALLYSTICK_AGENT'] ?? '',
  gateway: process.env['TALLYSTICK_GATEWAY'] ?? '',
  strict: true,
});

const { text, usage } = await generateText({ model: tallystick('qwen-flash'), prompt: 'What is 6*7?' });
console.log(text, `(${usage.inputTokens} tokens in, ${usage.outputTokens} out)`);

const { textStream } = streamText({
  model: tallystick('qwen-plus'),
  prompt: process.argv[2] ?? 'What is a tally stick?',
});
for await (const part of textStream) process.stdout.write(part);

await tallystick.agentFetch.settled();
for (const { signed } of tallystick.agentFetch.receipts)
  console.log(`\nreceipt ${signed.receipt.sequence}: ${signed.receipt.amount} base units, checked`);
