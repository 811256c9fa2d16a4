package repo

import (
	"errors"
	"strings"
	"testing"
)

// FuzzPackets reads whatever a remote answers: a push is taken, or refused, by its clear word
// alone, and no secret is told.
func FuzzPackets(f *testing.F) {
	const ref, secret = "refs/heads/main", "idpcanaryremote"
	report := func(lines ...string) string {
		var inner strings.Builder
		for _, line := range lines {
			inner.WriteString(packet(line))
		}
		return packet("\x01"+inner.String()+"0000") + "0000"
	}
	f.Add([]byte(report("unpack ok\n", "ok "+ref+"\n")))
	f.Add([]byte(report("unpack ok\n", "ng "+ref+" protected by "+secret+"\n")))
	f.Add([]byte(packet("\x02"+secret+"\n") + report("unpack ok\n", "ng "+ref+" no\n")))
	f.Add([]byte(report("unpack index-pack abnormal exit\n", "ng "+ref+" unpacker error\n")))
	f.Add([]byte(packet("packfile\n") + packet("\x01PACK") + packet("\x02words") + "0000"))
	f.Add([]byte("0003"))
	f.Add([]byte("0000"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		out, err := readReport(answer, ref, []string{secret})
		text := string(answer)
		switch {
		case err != nil:
			if !errors.Is(err, errUnsent) {
				t.Errorf("not for git to find out: %v", err)
			}
		case out.refused && !strings.Contains(text, "ng "+ref), !out.refused && !strings.Contains(text, "ok "+ref):
			// A packet may cut the words in two; put together they stand in the report.
			if !strings.Contains(joined(answer), ref) {
				t.Errorf("refused %v by %q", out.refused, answer)
			}
		}
		if strings.Contains(out.message, secret) {
			t.Errorf("told: %q", out.message)
		}
		if pack, err := readPack(answer); err == nil && !strings.Contains(text, "packfile") {
			t.Errorf("a pack of %d bytes in %q", len(pack), answer)
		}
	})
}

// joined is what all packets of a band say.
func joined(answer []byte) string {
	var all strings.Builder
	_ = eachPacket(answer, func(line []byte) error { // up to where it breaks off
		if len(line) > 0 {
			all.Write(line[1:])
		}
		return nil
	})
	return all.String()
}
