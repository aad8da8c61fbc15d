/** One film in front of everything else: how many stars? */
import { useEffect, useRef } from "preact/hooks";
import { type Film, named } from "../film";
import { leaveOutFilm, rateFilm, unrateFilm } from "../person/doing";
import { starsById } from "../person/store";
import { genreName, texts } from "../texts";
import { Cross, Eye, No } from "./icons";
import { Poster } from "./Poster";
import { Stars } from "./Stars";

/** `onClose`: with whether something was said about the film. */
export function RateDialog({ film, onClose }: { film: Film; onClose: (done: boolean) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const own = starsById.value.get(film.id) ?? null;
  useEffect(() => {
    dialog.current!.showModal();
    dialog.current!.querySelector<HTMLElement>("[role=slider]")?.focus();
  }, []);
  const close = (done: boolean) => {
    dialog.current?.close();
    onClose(done);
  };
  return (
    <dialog
      ref={dialog}
      class="rate"
      aria-labelledby="rate-heading"
      onCancel={(event) => {
        event.preventDefault();
        close(false);
      }}
      // A press beside it; what is inside lies in the form of its own.
      onClick={(event) => event.target === dialog.current && close(false)}
    >
      <div class="rate-inside">
        <Poster film={film} eager />
        <div class="rate-words">
          <p class="eyebrow">{texts.rate.heading}</p>
          <h2 id="rate-heading">{film.title}</h2>
          <p class="faint">{[film.year, ...film.genres.map(genreName)].filter(Boolean).join(" · ")}</p>
          <Stars
            title={named(film)}
            value={own}
            size="large"
            worded
            onRate={(stars) => {
              rateFilm(film, stars);
              close(true);
            }}
            onRemove={() => unrateFilm(film)}
          />
          <p class="rate-hint">{texts.rate.hint}</p>
          <div class="rate-others">
            {(["seen", "notForMe"] as const).map((list) => (
              <button
                key={list}
                type="button"
                class="button"
                onClick={() => {
                  leaveOutFilm(film, list);
                  close(true);
                }}
              >
                {list === "seen" ? <Eye /> : <No />}
                {texts.rate[list]}
              </button>
            ))}
            <a class="button" href={`/movie/${film.id}`}>{texts.rate.details}</a>
          </div>
        </div>
        <button type="button" class="rate-close" aria-label={texts.rate.close} onClick={() => close(false)}>
          <Cross />
        </button>
      </div>
    </dialog>
  );
}
