/** ● Takes a capture file and gives its packets that are about one thing. It is read in the browser: it goes nowhere. */
import { useId } from "preact/hooks";
import { useAction } from "./components.tsx";
import type { Packet } from "../../../wire/analysis/packet-analyzer.ts";
import type { aboutTask, ofPeers } from "../../../wire/analysis/story-packets.ts";
import type { StoryPacket } from "../../../wire/analysis/story-steps.ts";

/** What can be asked for; loaded when somebody has a file. */
type Filters = { readonly aboutTask: typeof aboutTask; readonly ofPeers: typeof ofPeers };

export interface CaptureFieldProps {
  readonly about: (filters: Filters) => (packet: Packet) => boolean;
  readonly onPackets: (packets: readonly StoryPacket[]) => void;
}

export function CaptureField({ about, onPackets }: CaptureFieldProps) {
  const id = useId();
  const { run, said } = useAction();
  const read = async (file: File): Promise<string> => {
    const { StoryPackets, ...filters } = await import("../../../wire/analysis/story-packets.ts");
    const packets = new StoryPackets(about(filters));
    const reader = file.stream().getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) packets.push(chunk.value);
    onPackets(packets.found);
    const { found, missing } = packets;
    const many = `${found.length} ${found.length === 1 ? "packet" : "packets"} of it in ${file.name}`;
    return missing === undefined ? many : `${many}. ${missing}`;
  };
  return (
    <div class="capture no-print">
      <label for={id}>Packets of a capture</label>{" "}
      <input
        id={id}
        type="file"
        accept=".pcap,.pcapng"
        onChange={({ currentTarget: { files } }) => {
          if (files?.[0]) run(() => read(files[0]!));
        }}
      />
      {said}
    </div>
  );
}
