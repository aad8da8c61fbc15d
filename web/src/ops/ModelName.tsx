/** A model's name that may wrap before its underscores. Copying it gives no line breaks. */
export function ModelName({ children }: { children: string }) {
  const parts = children.split("_");
  return (
    <span>
      {parts.map((part, index) => (index ? [<wbr key={index} />, `_${part}`] : part))}
    </span>
  );
}
