// The stock `openai` package; all that is ours is its `fetch`.
import OpenAI from 'openai';
import { createAgentFetch } from 'tallystick';
import { fromPrivateKey } from 'tallystick/wallets';

const gateway = process.env['TALLYSTICK_GATEWAY'] ?? '';
const agentFetch = createAgentFetch({
  wallet: fromPrivateKey(process.env['TALLYSTICK_KEY'] ?? ''),
  agent: process.env['TALLYSTICK_AGENT'] ?? '', // eip155:<chain>:<registry>:<number>
  gateway,
  strict: true, // a wrong receipt fails the call
});
const openai = new OpenAI({ baseURL: `${gateway}/v1`, apiKey: 'unused', fetch: agentFetch });

const stream = await openai.chat.completions.create({
  model: 'qwen-plus',
  stream: true,
  messages: [{ role: 'user', content: process.argv[2] ?? 'What is a tally stick?' }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');

await agentFetch.settled();
const receipt = agentFetch.lastReceipt?.signed.receipt;
console.log(`\nreceipt ${receipt?.sequence}: ${receipt?.amount} base units, checked`);
