/** A dialog to rate one movie, or to hide it. */
import { useEffect, useRef } from "preact/hooks";
import { type Movie, moviePath, titleWithYear } from "../movie";
import { hideMovie, rateMovie, unrateMovie } from "../visitor/actions";
import { starsById } from "../visitor/store";
import { genreName, texts } from "../texts";
import { Cross, Eye, No } from "./icons";
import { Poster } from "./Poster";
import { Stars } from "./Stars";

/** `onClose` receives whether the movie was rated or hidden. */
export function RateDialog({ movie, onClose }: { movie: Movie; onClose: (isAnswered: boolean) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const ownStars = starsById.value.get(movie.id) ?? null;
  useEffect(() => {
    dialog.current!.showModal();
    dialog.current!.querySelector<HTMLElement>("[role=slider]")?.focus();
  }, []);
  const close = (isAnswered: boolean) => {
    dialog.current?.close();
    onClose(isAnswered);
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
      // A click outside the content: the content fills the dialog's own area.
      onClick={(event) => event.target === dialog.current && close(false)}
    >
      <div class="rate-inside">
        <Poster movie={movie} eager />
        <div class="rate-words">
          <p class="eyebrow">{texts.rate.heading}</p>
          <h2 id="rate-heading">{movie.title}</h2>
          <p class="faint">{[movie.year, ...movie.genres.map(genreName)].filter(Boolean).join(" · ")}</p>
          <Stars
            title={titleWithYear(movie)}
            value={ownStars}
            size="large"
            worded
            onRate={(stars) => {
              rateMovie(movie, stars);
              close(true);
            }}
            onRemove={() => unrateMovie(movie)}
          />
          <p class="rate-hint">{texts.rate.hint}</p>
          <div class="rate-others">
            {(["seen", "notForMe"] as const).map((list) => (
              <button
                key={list}
                type="button"
                class="button"
                onClick={() => {
                  hideMovie(movie, list);
                  close(true);
                }}
              >
                {list === "seen" ? <Eye /> : <No />}
                {texts.rate[list]}
              </button>
            ))}
            <a class="button" href={moviePath(movie.id)}>{texts.rate.details}</a>
          </div>
        </div>
        <button type="button" class="rate-close" aria-label={texts.rate.close} onClick={() => close(false)}>
          <Cross />
        </button>
      </div>
    </dialog>
  );
}
