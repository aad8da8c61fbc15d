/** A model's name, which may be broken after its underscores and is copied without the breaks. */
export function Name({ children }: { children: string }) {
  const parts = children.split("_");
  return (
    <span>
      {parts.map((part, index) => (index ? [<wbr key={index} />, `_${part}`] : part))}
    </span>
  );
}
