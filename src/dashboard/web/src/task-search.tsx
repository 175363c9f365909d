/** ● Which tasks are shown: of one group, under one key, or with a field in their JSON body. What is asked for stands in the address. */
import { go, type ViewRoute } from "./route.ts";

/** The fields, by the API's names for them. */
const FIELDS = {
  group: { label: "Group", placeholder: "tenant-7" },
  key: { label: "Key", placeholder: "order-17" },
  where: { label: "Where", placeholder: "customer.id=42" },
} as const;
export type SearchField = keyof typeof FIELDS;
const NAMES = Object.keys(FIELDS) as SearchField[];

/** What the address asks for. */
export function searchOf({ query }: ViewRoute): Partial<Record<SearchField, string>> {
  return Object.fromEntries(NAMES.flatMap((name) => (query[name] ? [[name, query[name]]] : [])));
}

/** Asked for with Enter, or when the field is left: bodies are read one by one, and not for each letter. */
export function TaskSearch({ route }: { readonly route: ViewRoute }) {
  const asked = searchOf(route);
  const search = (form: HTMLFormElement): void => {
    const given = new FormData(form);
    const textOf = (value: FormDataEntryValue | null): string => (typeof value === "string" ? value.trim() : "");
    const wanted = Object.fromEntries(NAMES.map((name) => [name, textOf(given.get(name))]));
    if (NAMES.some((name) => wanted[name] !== (asked[name] ?? ""))) go(route, { ...wanted, after: undefined });
  };
  return (
    <form
      class="filters"
      role="search"
      aria-label="Tasks"
      onSubmit={(event) => {
        event.preventDefault();
        search(event.currentTarget);
      }}
      onChange={(event) => search(event.currentTarget)}
    >
      {NAMES.map((name) => (
        <label key={name}>
          {FIELDS[name].label}{" "}
          <input
            // Another address, another value: one that is being typed stays.
            key={asked[name]}
            type="search"
            name={name}
            placeholder={FIELDS[name].placeholder}
            defaultValue={asked[name] ?? ""}
            size={name === "where" ? 22 : 12}
          />
        </label>
      ))}
      <button type="submit">Find</button>
    </form>
  );
}
