/** Icons of 24 by 24 units, in the colour of the text around them. */
import type { ComponentChildren } from "preact";

function Icon({ children, filled = false }: { children: ComponentChildren; filled?: boolean }) {
  const paint = filled ? { fill: "currentColor" } : { fill: "none", stroke: "currentColor", "stroke-width": 2 };
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false" stroke-linecap="round" stroke-linejoin="round" {...paint}>
      {children}
    </svg>
  );
}

export const Magnifier = () => <Icon><circle cx="11" cy="11" r="7" /><path d="m20 20-4-4" /></Icon>;
export const Cross = () => <Icon><path d="M6 6 18 18M18 6 6 18" /></Icon>;
export const Eye = () => <Icon><path d="M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12Z" /><circle cx="12" cy="12" r="3" /></Icon>;
export const No = () => <Icon><circle cx="12" cy="12" r="9" /><path d="m5.7 5.7 12.6 12.6" /></Icon>;
export const Sun = () => <Icon><circle cx="12" cy="12" r="4" /><path d="M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2" /></Icon>;
export const Moon = () => <Icon><path d="M20 14.5A8.5 8.5 0 1 1 9.5 4a7 7 0 0 0 10.5 10.5Z" /></Icon>;
export const Half = () => <Icon><circle cx="12" cy="12" r="9" /><path d="M12 3v18a9 9 0 0 0 0-18Z" fill="currentColor" /></Icon>;
export const Back = () => <Icon><path d="M15 5l-7 7 7 7" /></Icon>;
export const Star = () => <Icon filled><path d={STAR} /></Icon>;
export const STAR = "M12 1.8l3.1 6.5 7.1.9-5.2 4.9 1.3 7.1L12 17.8l-6.3 3.4L7 14.1 1.800 9.2l7.1-.9Z";
