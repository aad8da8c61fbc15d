/** A panel to take over ratings from a file of another service. */
import { useRef, useState } from "preact/hooks";
import { client, toApiError, unwrap } from "../api/client";
import { type Id, titleWithYear } from "../movie";
import { texts } from "../texts";
import { type Choices, type Entry, movieOf, toEntries, toTakeOver } from "../visitor/importing";
import { takeOver } from "../visitor/store";
import { showToast } from "./toasts";

/** Rows that are drawn at once: thousands would take seconds. */
const MAX_ROWS = 200;
const NO_CHOICES: Choices = new Map();

interface Found {
  source: string;
  entries: Entry[];
}

export function ImportRatings() {
  const [found, setFound] = useState<Found | null>(null);
  const [choices, setChoices] = useState<Choices>(NO_CHOICES);
  const [message, setMessage] = useState("");
  const [isOver, setIsOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);

  const read = async (file: File | undefined) => {
    if (!file) return;
    setFound(null);
    setChoices(NO_CHOICES);
    setMessage(texts.you.reading(file.name));
    try {
      const answer = await unwrap(
        client.POST("/ratings/match", {
          // The file is the whole body; its generated type is a text.
          body: file as unknown as string,
          bodySerializer: (body) => body,
          headers: { "Content-Type": "application/octet-stream" },
        }),
      );
      setFound({ source: answer.source, entries: toEntries(answer) });
      setMessage("");
    } catch (error) {
      setMessage(toApiError(error).message);
    }
    if (input.current) input.current.value = "";
  };
  const close = () => {
    setFound(null);
    setMessage("");
    input.current?.focus();
  };
  return (
    <section class="panel" aria-labelledby="bring-heading">
      <h2 id="bring-heading">{texts.you.bring}</h2>
      <p class="faint">{texts.you.bringLead}</p>
      <label
        class={isOver ? "drop drop-over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setIsOver(true);
        }}
        onDragLeave={() => setIsOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setIsOver(false);
          void read(event.dataTransfer?.files[0]);
        }}
      >
        {texts.you.bringFile}
        <input
          ref={input}
          type="file"
          accept=".csv,.json,.zip,.tsv,.txt"
          onChange={(event) => void read(event.currentTarget.files?.[0])}
        />
      </label>
      <p role="status">{message}</p>
      {found && (
        <Matches
          found={found}
          choices={choices}
          onChoose={(line, id) => setChoices(new Map(choices).set(line, id))}
          onClose={close}
        />
      )}
    </section>
  );
}

interface MatchesProps {
  found: Found;
  choices: Choices;
  onChoose: (line: number, id: Id | null) => void;
  onClose: () => void;
}

function Matches({ found, choices, onChoose, onClose }: MatchesProps) {
  const { ratings, seen } = toTakeOver(found.entries, choices, Math.floor(Date.now() / 1000));
  const unsure = found.entries.filter(({ isSure }) => !isSure);
  const sure = found.entries.filter(({ isSure }) => isSure);
  const confirm = () => {
    takeOver(ratings, seen);
    showToast(texts.you.takenOver(ratings.length));
    onClose();
  };
  return (
    <>
      <p role="status">{texts.you.found(found.source, ratings.length, seen.length, unsure.length)}</p>
      <div class="buttons">
        <button type="button" class="button" disabled={!ratings.length && !seen.length} onClick={confirm}>
          {texts.you.takeOver(ratings.length, seen.length)}
        </button>
        <button type="button" class="button" onClick={onClose}>{texts.you.cancel}</button>
      </div>
      {unsure.length > 0 && (
        <details open>
          <summary>{texts.you.notMatched(unsure.length)}</summary>
          <Rows entries={unsure} choices={choices} onChoose={onChoose} />
        </details>
      )}
      {sure.length > 0 && (
        <details>
          <summary>{texts.you.matched(sure.length)}</summary>
          <Rows entries={sure} choices={choices} onChoose={onChoose} />
        </details>
      )}
    </>
  );
}

type RowsProps = Pick<MatchesProps, "choices" | "onChoose"> & { entries: Entry[] };

function Rows({ entries, choices, onChoose }: RowsProps) {
  return (
    <ul class="import-rows">
      {entries.slice(0, MAX_ROWS).map((entry) => (
        <li key={entry.line}>
          <span>{[titleWithYear(entry), entry.stars !== null && texts.search.rated(entry.stars)].filter(Boolean).join(" · ")}</span>
          <select
            aria-label={texts.you.movieOf(entry.title)}
            value={String(movieOf(entry, choices)?.id ?? "")}
            onChange={({ currentTarget: { value } }) => onChoose(entry.line, entry.movies.find(({ id }) => String(id) === value)?.id ?? null)}
          >
            <option value="">{texts.you.leaveOut}</option>
            {entry.movies.map((movie) => (
              <option key={movie.id} value={String(movie.id)}>{titleWithYear(movie)}</option>
            ))}
          </select>
        </li>
      ))}
    </ul>
  );
}
