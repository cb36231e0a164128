// What a race was like, in a sentence that is true of it, whatever happened.

import { grouped, short } from "./numbers.js";

const SHAPE = 0.5; // a test error below which a network has the shape of the target
const ALIKE = 1.05; // the ratio of two errors up to which they are alike

export function story({ history: { step, kan, mlp }, stopped }) {
  const start = step.findIndex((_, p) => Math.min(kan[p], mlp[p]) < SHAPE);
  const [first, second] = kan[start] < mlp[start] ? [kan, mlp] : [mlp, kan];
  const [one, other] = first === kan ? ["KAN", "MLP"] : ["MLP", "KAN"];
  const passed = step[step.findLastIndex((_, p) => first[p] <= second[p]) + 1];
  const gap = first.at(-1) / second.at(-1);
  const after = gap > ALIKE ? `; by step ${grouped(passed)} the ${other} passed it` : gap < 1 / ALIKE ? ", and is nearer to it still"
    : `; in the end the ${other} is as near to it`;
  const said = stopped || (start < 0 ? "Neither has the shape yet." : `The ${one} had the shape first${after}.`);
  return `${said} Test error after ${grouped(step.at(-1))} steps: KAN ${short(kan.at(-1))}, MLP ${short(mlp.at(-1))}.`;
}
