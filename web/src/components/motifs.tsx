/** The drawings of the posters, 200 by 190 units; the poster covers what lies outside. */
import type { JSX } from "preact";
import type { Motif } from "./palettes";

type Draw = (random: () => number, first: string, second: string) => JSX.Element;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const between = (random: () => number, low: number, high: number): number =>
  Math.round((low + random() * (high - low)) * 10) / 10;

export const MOTIFS: Record<Motif, Draw> = {
  blinds: (random, first, second) => {
    const turn = between(random, -18, -8);
    return (
      <>
        <circle cx={between(random, 60, 140)} cy="96" r="62" fill={first} />
        <g transform={`rotate(${turn} 100 110)`} fill={second}>
          {range(9).map((i) => <rect key={i} x="-60" y={8 + i * 24} width="320" height={6 + i * 1.3} />)}
        </g>
      </>
    );
  },
  sunset: (random, first, second) => {
    const x = between(random, 70, 130);
    return (
      <>
        <circle cx={x} cy="112" r="66" fill={first} />
        <path d={`M0 150 Q50 ${between(random, 118, 140)} 100 148 T200 140 V196 H0Z`} fill={second} />
        {range(4).map((i) => <rect key={i} x="0" y={92 + i * 14} width="200" height={2 + i} fill={second} />)}
      </>
    );
  },
  chevrons: (random, first, second) => {
    const lean = between(random, 26, 44);
    return (
      <>
        {range(5).map((i) => (
          <path
            key={i}
            d={`M-10 ${60 + i * 34} L100 ${60 - lean + i * 34} L210 ${60 + i * 34} V${76 + i * 34} L100 ${76 - lean + i * 34} L-10 ${76 + i * 34}Z`}
            fill={i % 2 ? second : first}
          />
        ))}
      </>
    );
  },
  teeth: (random, first, second) => {
    const upper = range(8).map((i) => `${i * 25} 0 ${i * 25 + 12.5} ${between(random, 50, 104)} ${i * 25 + 25} 0`);
    const lower = range(8).map((i) => `${i * 25 - 6} 200 ${i * 25 + 6.5} ${between(random, 126, 170)} ${i * 25 + 19} 200`);
    return (
      <>
        <rect y="190" width="200" height="10" fill={second} />
        {lower.map((points) => <polygon key={points} points={points} fill={second} />)}
        {upper.map((points) => <polygon key={points} points={points} fill={first} />)}
      </>
    );
  },
  waves: (random, first, second) => (
    <>
      {range(11).map((i) => {
        const height = between(random, 26, 150);
        return <rect key={i} x={12 + i * 16.4} y={112 - height / 2} width="9" height={height} rx="4.5" fill={i % 3 === 1 ? second : first} />;
      })}
    </>
  ),
  frames: (random, first, second) => {
    const shift = between(random, 0, 20);
    return (
      <>
        {range(3).map((i) => (
          <rect key={i} x={22 + i * 22} y={24 + i * 22 + shift / 2} width={156 - i * 44} height={156 - i * 44} fill="none" stroke={i === 1 ? second : first} stroke-width="9" />
        ))}
        <circle cx="100" cy={102 + shift / 2} r="14" fill={second} />
      </>
    );
  },
  bubbles: (random, first, second) => (
    <>
      {range(4).flatMap((row) =>
        range(4).map((column) => {
          const radius = between(random, 7, 22);
          return <circle key={`${row}-${column}`} cx={25 + column * 50} cy={24 + row * 46} r={radius} fill={random() < 0.5 ? first : second} />;
        }),
      )}
    </>
  ),
  orbits: (random, first, second) => {
    const turn = between(random, -40, 40);
    const x = between(random, 80, 120);
    return (
      <>
        {range(9).map((i) => <circle key={i} cx={between(random, 4, 196)} cy={between(random, 4, 196)} r={between(random, 0.6, 1.8)} fill={first} />)}
        <circle cx={x} cy="104" r="40" fill={second} />
        <g transform={`rotate(${turn} ${x} 104)`} fill="none" stroke={first}>
          <ellipse cx={x} cy="104" rx="72" ry="20" stroke-width="5" />
          <ellipse cx={x} cy="104" rx="92" ry="34" stroke-width="1.6" />
          <circle cx={x + 92} cy="104" r="6" fill={first} stroke="none" />
        </g>
      </>
    );
  },
  moon: (random, first, second) => {
    const x = between(random, 84, 116);
    return (
      <>
        {range(3).map((i) => <path key={i} d={`M${30 + i * 14} 204 V110 a${70 - i * 14} ${70 - i * 14} 0 0 1 ${140 - i * 28} 0 V204`} fill="none" stroke={second} stroke-width="5" />)}
        <path d={`M${x + 14} 72 a34 34 0 1 0 14 52 a27 27 0 1 1 -14 -52Z`} fill={first} />
        {range(7).map((i) => {
          const size = between(random, 2, 5);
          const [left, top] = [between(random, 8, 192), between(random, 8, 60)];
          return <path key={i} d={`M${left} ${top - size} L${left + size / 3} ${top} L${left} ${top + size} L${left - size / 3} ${top}Z`} fill={first} />;
        })}
      </>
    );
  },
  eye: (random, first, second) => {
    const look = between(random, -16, 16);
    return (
      <>
        <path d="M4 104 Q100 14 196 104 Q100 194 4 104Z" fill={first} />
        <circle cx={100 + look} cy="104" r="38" fill={second} />
        {range(3).map((i) => <circle key={i} cx={100 + look} cy="104" r={30 - i * 8} fill="none" stroke={first} stroke-width="1.6" />)}
        <circle cx={100 + look} cy="104" r="9" fill={first} />
      </>
    );
  },
  circles: (random, first, second) => {
    const apart = between(random, 26, 40);
    const lift = between(random, -12, 12);
    return (
      <>
        <circle cx={100 - apart} cy={102 + lift} r="58" fill={first} />
        <circle cx={100 + apart} cy={102 - lift} r="58" fill={second} fill-opacity="0.82" />
      </>
    );
  },
  city: (random, first, second) => (
    <>
      <circle cx={between(random, 40, 160)} cy={between(random, 44, 66)} r="26" fill={first} />
      {range(8).map((i) => {
        const top = between(random, 66, 150);
        return (
          <g key={i}>
            <rect x={i * 25} y={top} width="25.4" height={204 - top} fill={second} fill-opacity={i % 2 ? 1 : 0.72} />
            {range(3).map((n) => random() < 0.6 && <rect key={n} x={i * 25 + 8} y={top + 12 + n * 20} width="8" height="9" fill={first} />)}
          </g>
        );
      })}
    </>
  ),
  blocks: (random, first, second) => (
    <>
      {range(20).map((i) => {
        const [left, top] = [(i % 5) * 40, Math.floor(i / 5) * 40 + 6];
        const colour = random() < 0.5 ? first : second;
        const kind = Math.floor(random() * 4);
        if (kind === 0) return <circle key={i} cx={left + 20} cy={top + 20} r="16" fill={colour} />;
        if (kind === 1) return <path key={i} d={`M${left} ${top} h40 a40 40 0 0 1 -40 40Z`} fill={colour} />;
        if (kind === 2) return <path key={i} d={`M${left + 40} ${top + 40} h-40 a40 40 0 0 1 40 -40Z`} fill={colour} />;
        return null;
      })}
    </>
  ),
  squares: (random, first, second) => {
    const turn = between(random, 7, 15);
    return (
      <>
        {range(7).map((i) => (
          <rect
            key={i}
            x={16 + i * 12}
            y={18 + i * 12}
            width={168 - i * 24}
            height={168 - i * 24}
            fill={i === 6 ? first : "none"}
            stroke={i % 2 ? second : first}
            stroke-width="5"
            transform={`rotate(${i * turn} 100 102)`}
          />
        ))}
      </>
    );
  },
  mountains: (random, first, second) => {
    const [near, far] = [between(random, 40, 80), between(random, 120, 165)];
    // The snow ends 26 units below the top on both slopes.
    const [left, right] = [near - (26 * (near + 20)) / 126, near + (26 * (150 - near)) / 126];
    return (
      <>
        <circle cx={between(random, 60, 140)} cy="62" r="32" fill={first} />
        <path d={`M-20 204 L${near} 78 L150 204Z`} fill={second} />
        <path d={`M60 204 L${far} 104 L240 204Z`} fill={second} fill-opacity="0.72" />
        <path d={`M${near} 78 L${left} 104 L${near - 3} 97 L${near + 5} 106 L${right} 104Z`} fill={first} />
        <path d="M0 190 Q60 172 110 188 T200 180 V204 H0Z" fill={first} fill-opacity="0.9" />
      </>
    );
  },
  smile: (random, first, second) => {
    const turn = between(random, -16, 16);
    return (
      <g transform={`rotate(${turn} 100 100)`}>
        <circle cx="100" cy="100" r="74" fill={first} />
        <circle cx="74" cy="80" r="9" fill={second} />
        <circle cx="126" cy="80" r="9" fill={second} />
        <path d="M52 108 a48 48 0 0 0 96 0Z" fill={second} />
      </g>
    );
  },
  rays: (random, first, second) => {
    const [x, y] = [between(random, 70, 130), between(random, 110, 150)];
    return (
      <>
        {range(12).map((i) => (
          <polygon key={i} points={`${x} ${y} ${x - 16} ${y - 330} ${x + 16} ${y - 330}`} fill={i % 2 ? first : second} transform={`rotate(${i * 30 + 8} ${x} ${y})`} />
        ))}
        <circle cx={x} cy={y} r="30" fill={first} />
        <circle cx={x} cy={y} r="16" fill={second} />
      </>
    );
  },
  halves: (random, first, second) => {
    const turned = random() < 0.5;
    const shift = between(random, 8, 26);
    return (
      <g transform={turned ? "rotate(90 100 102)" : undefined}>
        <path d={`M${30 + shift} 100 a62 62 0 0 1 124 0Z`} fill={first} />
        <path d={`M${46 - shift} 106 a62 62 0 0 0 124 0Z`} fill={second} />
      </g>
    );
  },
};
