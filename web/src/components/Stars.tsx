/** Five stars in half steps: a slider for keyboards and screen readers, to tap or click otherwise. */
import { useEffect, useRef, useState } from "preact/hooks";
import { MIN_STARS, MAX_STARS } from "../visitor/visitor";
import { texts } from "../texts";
import { STAR } from "./icons";

interface Props {
  title: string;
  value: number | null;
  onRate: (stars: number) => void;
  onRemove?: () => void;
  size?: "small" | "large";
  /** Whether the value is shown in words, too. */
  worded?: boolean;
}

/** By keyboard, a value is chosen after this pause, so that steps on the way do not count. */
const PAUSE_MS = 900;

export function Stars({ title, value, onRate, onRemove, size = "small", worded = false }: Props) {
  const [shown, setShown] = useState<number | null>(null);
  const [hovered, setHovered] = useState<number | null>(null);
  const timer = useRef<number | undefined>(undefined);
  const now = hovered ?? shown ?? value ?? 0;

  useEffect(() => () => clearTimeout(timer.current), []);

  const discard = () => {
    clearTimeout(timer.current);
    timer.current = undefined;
    setShown(null);
  };
  const choose = (stars: number) => {
    discard();
    if (stars && stars !== value) onRate(stars);
  };
  const step = (stars: number) => {
    const next = Math.min(Math.max(stars, MIN_STARS), MAX_STARS);
    setShown(next);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => choose(next), PAUSE_MS);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const at = shown ?? value ?? 0;
    const digit = Number(event.key);
    if (event.key === "ArrowRight" || event.key === "ArrowUp") step(at + 0.5);
    else if (event.key === "ArrowLeft" || event.key === "ArrowDown") step(at - 0.5);
    else if (event.key === "Home") step(MIN_STARS);
    else if (event.key === "End") step(MAX_STARS);
    else if (digit >= 1 && digit <= 5) step(digit);
    else if ((event.key === "Enter" || event.key === " ") && shown !== null) choose(shown);
    else if ((event.key === "Delete" || event.key === "Backspace") && value !== null) onRemove?.();
    else {
      // Not prevented: Escape closes the dialog, too, and the blur must not choose the stars.
      if (event.key === "Escape") discard();
      return;
    }
    event.preventDefault();
  };
  const under = (event: PointerEvent | MouseEvent): number => {
    const { left, width } = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const stars = Math.ceil(((event.clientX - left) / width) * 10) / 2;
    return Math.min(Math.max(stars, MIN_STARS), MAX_STARS);
  };

  return (
    <span class={`stars stars-${size}`}>
      <span
        class="stars-row"
        role="slider"
        tabIndex={0}
        aria-label={texts.rate.label(title)}
        aria-valuemin={0}
        aria-valuemax={MAX_STARS}
        aria-valuenow={shown ?? value ?? 0}
        aria-valuetext={texts.rate.value(shown ?? value ?? 0)}
        data-own={value !== null || undefined}
        onKeyDown={onKeyDown}
        onBlur={() => timer.current !== undefined && shown !== null && choose(shown)}
        onPointerMove={(event) => event.pointerType === "mouse" && setHovered(under(event))}
        onPointerLeave={() => setHovered(null)}
        onClick={(event) => {
          setHovered(null);
          choose(under(event));
        }}
      >
        {[1, 2, 3, 4, 5].map((star) => (
          <OneStar key={star} filled={Math.min(Math.max(now - star + 1, 0), 1)} />
        ))}
      </span>
      {worded && <span class="stars-word" aria-hidden="true">{texts.rate.word(now)}</span>}
    </span>
  );
}

function OneStar({ filled }: { filled: number }) {
  return (
    <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path class="star-empty" d={STAR} />
      {filled > 0 && <path class={filled === 1 ? "star-full" : "star-full star-half"} d={STAR} />}
    </svg>
  );
}
