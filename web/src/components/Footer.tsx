import { texts } from "../texts";

export function Footer() {
  return (
    <footer class="bottom">
      <p>{texts.credits.tmdb}</p>
      <p>
        {texts.credits.movieLens} <a href={texts.credits.doi} rel="noreferrer">{texts.credits.doiLabel}</a>
      </p>
    </footer>
  );
}
