// LangChain: its OpenAI model takes a fetch in `configuration`.
import { ChatOpenAI } from '@langchain/openai';
import { createAgentFetch } from 'tallystick';
import { fromPrivateKey } from 'tallystick/wallets';

const gateway = process.env['TALLYSTICK_GATEWAY'] ?? '';
const agentFetch = createAgentFetch({
  wallet: fromPrivateKey(process.env['TALLYSTICK_KEY'] ?? ''),
  agent: process.env['TALLYSTICK_AGENT'] ?? '',
  gateway,
  strict: true,
});
const model = new ChatOpenAI({
  model: 'qwen-plus',
  apiKey: 'unused',
  configuration: { baseURL: `${gateway}/v1`, fetch: agentFetch },
});

const answer = await model.invoke(process.argv[2] ?? 'What is a tally stick?');
console.log(answer.text, answer.usage_metadata);

await agentFetch.settled();
const receipt = agentFetch.lastReceipt?.signed.receipt;
console.log(`receipt ${receipt?.sequence}: ${receipt?.amount} base units, checked`);
