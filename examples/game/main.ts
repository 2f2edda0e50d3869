// Virtuals GAME. Its planner runs at Virtuals and takes a base URL and a key for its model: a session key with a cap.
// Its functions run here: one of them asks Qwen as the agent itself, with its wallet.
import {
  ExecutableGameFunctionResponse,
  ExecutableGameFunctionStatus,
  GameAgent,
  GameFunction,
  GameWorker,
} from '@virtuals-protocol/game';
import { createAgentFetch } from 'tallystick';
import { fromPrivateKey } from 'tallystick/wallets';

const gateway = process.env['TALLYSTICK_GATEWAY'] ?? '';
const agentFetch = createAgentFetch({
  wallet: fromPrivateKey(process.env['TALLYSTICK_KEY'] ?? ''),
  agent: process.env['TALLYSTICK_AGENT'] ?? '',
  gateway,
  strict: true,
});
const post = (path: string, body: unknown, headers: Record<string, string> = {}, send = fetch) =>
  send(`${gateway}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const question = (content: string) => ({ model: 'qwen-plus', messages: [{ role: 'user', content }] });
const contentOf = async (response: Response) =>
  ((await response.json()) as { choices?: { message: { content: string } }[] }).choices?.[0]?.message.content;

const askQwen = new GameFunction({
  name: 'ask_qwen',
  description: 'Asks Qwen a question',
  args: [{ name: 'question', description: 'what to ask' }] as const,
  executable: async ({ question: asked = '' }) => {
    const answer = await contentOf(await post('chat/completions', question(asked), {}, agentFetch));
    return answer === undefined
      ? new ExecutableGameFunctionResponse(ExecutableGameFunctionStatus.Failed, 'no answer')
      : new ExecutableGameFunctionResponse(ExecutableGameFunctionStatus.Done, answer);
  },
} as ConstructorParameters<typeof GameFunction>[0]);
const worker = new GameWorker({ id: 'asker', name: 'asker', description: 'asks', functions: [askQwen] });

// What their planner gets: it can spend a tenth of the asset within an hour, and nothing else.
const made = await post(
  'keys',
  { expiresAt: Math.floor(Date.now() / 1000) + 3600, spendCap: `${10n ** 17n}`, label: 'game' },
  {},
  agentFetch,
);
const { key } = (await made.json()) as { key: string };
const apiKey = process.env['GAME_API_KEY'];
const agent = new GameAgent(apiKey ?? 'none', {
  name: 'Tally',
  goal: 'Find out what a tally stick is',
  description: 'Asks Qwen and reports',
  workers: [worker],
  llmModel: 'qwen-plus',
  llmModelBaseUrl: `${gateway}/v1`,
  llmModelApiKey: key,
});
console.log(`${agent.name} is ready; its planner is told to call ${gateway}/v1 with a session key`);

const { feedback } = await askQwen.execute(
  { question: { value: process.argv[2] ?? 'What is a tally stick?' } },
  console.log,
);
console.log(feedback);
await agentFetch.settled();
const receipt = agentFetch.lastReceipt?.signed.receipt;
console.log(`receipt ${receipt?.sequence}: ${receipt?.amount} base units, checked`);

// The call their servers make, made from here: a key and a base URL, no wallet.
const planned = await post('chat/completions', question('Which step comes first?'), {
  authorization: `Bearer ${key}`,
});
console.log(`with the session key: ${planned.status}, ${await contentOf(planned)}`);

if (apiKey === undefined) {
  console.log(
    'No GAME_API_KEY: Virtuals was not asked. With one, and a gateway they can reach, the agent takes a step.',
  );
} else {
  await agent.init();
  await agent.step({ verbose: true });
}
