/** A form to fine-tune a model on new ratings, with the progress of the training. */
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type ApiError, client, isAbort, toApiError, unwrap } from "../api/client";
import type { Model } from "../api/types";
import { texts } from "../texts";
import { visitor } from "../visitor/store";
import { batchOfVisitor, parseBatch } from "./trainingBatch";

const words = texts.ops;
const EXAMPLE = '{\n  "users": [498, 389],\n  "movies": [3699, 2702],\n  "ratings": [4, 3]\n}';
/** The family without trained parameters, which cannot be fine-tuned. */
const UNTRAINED = "popular";

type State =
  | { is: "idle" }
  | { is: "training"; since: number }
  | { is: "trained"; name: string; skipped: string | null }
  | { is: "stopped" }
  | { is: "failed"; error: ApiError };

export function FineTune({ models, onDone }: { models: Model[]; onDone: () => void }) {
  const [base, setBase] = useState("champion");
  const [useOwnRatings, setUseOwnRatings] = useState(visitor.value.ratings.length > 0);
  const [text, setText] = useState(EXAMPLE);
  const [split, setSplit] = useState("0.2");
  const [patience, setPatience] = useState("10");
  const [key, setKey] = useState("");
  const [inputError, setInputError] = useState<string | null>(null);
  const [state, setState] = useState<State>({ is: "idle" });
  const abort = useRef<AbortController | null>(null);
  const id = useId();
  const names = [...new Set(models.filter(({ family, usable }) => usable && family !== UNTRAINED).map(({ name }) => name))];
  const needsKey =
    state.is === "failed" && (state.error.status === 401 || state.error.status === 403);

  useEffect(() => () => abort.current?.abort(), []);

  const train = async (event: Event) => {
    event.preventDefault();
    const body = useOwnRatings ? batchOfVisitor(visitor.value) : parseBatch(text);
    setInputError(body === null ? words.notJson : body.users.length ? null : words.noOwnRatings);
    if (!body?.users.length) return;
    abort.current = new AbortController();
    setState({ is: "training", since: Date.now() });
    try {
      const query = { model_name: base, validation_split: Number(split), patience: Number(patience) };
      const call = client.POST("/train", {
        params: { query },
        body,
        headers: key ? { "X-API-Key": key } : {},
        signal: abort.current.signal,
      });
      const name = await unwrap(call);
      const skipped = (await call).response.headers.get("X-Moovier-Skipped-Movies");
      setState({ is: "trained", name, skipped });
      onDone();
    } catch (error) {
      setState(isAbort(error) ? { is: "stopped" } : { is: "failed", error: toApiError(error) });
    }
  };

  return (
    <section class="panel wide" aria-labelledby={`${id}-heading`}>
      <h2 id={`${id}-heading`}>{words.fineTune}</h2>
      <p class="faint">{words.fineTuneLead}</p>
      <form class="tune" onSubmit={(event) => void train(event)}>
        <label class="field">
          <span>{words.base}</span>
          <select value={base} onChange={(event) => setBase(event.currentTarget.value)}>
            <option value="champion">{words.baseChampion}</option>
            {names.map((name) => <option key={name} value={name}>{name}</option>)}
          </select>
        </label>
        <label class="field">
          <span>{words.split}</span>
          <input type="number" min="0" max="0.99" step="0.01" required value={split} onInput={(event) => setSplit(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>{words.patience}</span>
          <input type="number" min="1" max="1000" required value={patience} onInput={(event) => setPatience(event.currentTarget.value)} />
        </label>
        <fieldset class="field">
          <legend>{words.source}</legend>
          <label><input type="radio" name={`${id}-source`} checked={useOwnRatings} onChange={() => setUseOwnRatings(true)} />{words.ownRatings(visitor.value.ratings.length)}</label>
          <label><input type="radio" name={`${id}-source`} checked={!useOwnRatings} onChange={() => setUseOwnRatings(false)} />{words.pasted}</label>
        </fieldset>
        {!useOwnRatings && (
          <label class="field tune-text">
            <span>{words.pastedLabel}</span>
            <textarea rows={6} spellcheck={false} value={text} onInput={(event) => setText(event.currentTarget.value)} />
          </label>
        )}
        {(needsKey || key) && (
          <label class="field">
            <span>{words.key}</span>
            <input type="password" autocomplete="off" value={key} onInput={(event) => setKey(event.currentTarget.value)} />
            <small>{words.keyLead}</small>
          </label>
        )}
        {inputError && <p class="warning" role="alert">{inputError}</p>}
        <div class="buttons">
          {/* Two elements with keys: a button that changed its type during a click would submit. */}
          {state.is === "training" ? (
            <button key="stop" type="button" class="button" onClick={() => abort.current?.abort()}>{words.stop}</button>
          ) : (
            <button key="train" type="submit" class="button button-main">{words.train}</button>
          )}
        </div>
      </form>
      <Progress state={state} />
    </section>
  );
}

function Progress({ state }: { state: State }) {
  return (
    <div class="progress" role="status" data-state={state.is}>
      {state.is === "training" && (
        <>
          <progress aria-label={words.training} />
          <p>{words.training}… <Elapsed since={state.since} /></p>
          <p class="faint">{words.trainingLead}</p>
        </>
      )}
      {state.is === "trained" && (
        <>
          <p><strong>{words.trainedName(state.name)}</strong> {words.tryIt}</p>
          {state.skipped && <p>{words.skipped(state.skipped)}</p>}
        </>
      )}
      {state.is === "stopped" && <p>{words.stopped}</p>}
      {state.is === "failed" && <p class="warning">{state.error.message}</p>}
    </div>
  );
}

/** The time since the start; screen readers do not read out each second. */
function Elapsed({ since }: { since: number }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return <span aria-live="off" class="elapsed">{words.elapsed(Math.max(Math.floor((now - since) / 1000), 0))}</span>;
}
