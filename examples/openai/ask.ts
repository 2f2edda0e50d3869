// Asks Qwen with the stock `openai` package, as one of the local stack's agents. `npm run stack` must be up.
//   node_modules/.bin/node examples/openai/ask.ts "What is a tally stick?"
import { readFileSync } from 'node:fs';
import OpenAI from 'openai';
import { privateKeyToAccount } from 'viem/accounts';
import { createAgentFetch } from '../../client/agent-fetch.ts';

const stack = JSON.parse(readFileSync('.local/stack.json', 'utf8'));
const [agent] = stack.agents;

const agentFetch = createAgentFetch({
  wallet: privateKeyToAccount(agent.privateKey),
  agent: `eip155:${stack.chainId}:${stack.identityRegistry}:${agent.agentId}`,
  gateway: stack.gatewayUrl,
  rpcUrl: stack.rpcUrl,
});
const openai = new OpenAI({ baseURL: `${stack.gatewayUrl}/v1`, apiKey: 'unused', fetch: agentFetch });

const stream = await openai.chat.completions.create({
  model: 'qwen-plus',
  stream: true,
  messages: [{ role: 'user', content: process.argv[2] ?? 'What is a tally stick?' }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');

await agentFetch.settled();
const { receipt } = agentFetch.lastReceipt?.signed ?? {};
console.log(
  `\n\nreceipt ${receipt?.sequence}: ${receipt?.usage.input} tokens in, ${receipt?.usage.output} out, ${receipt?.amount} neuron`,
);
