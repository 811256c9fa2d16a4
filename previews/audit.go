package previews

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Audit is one entry of the audit log: who asked for what, and what became of it.
// Its JSON, one line, is what `idp audit list -o json` and the exported log show; the
// names are a contract.
//
// The entries form a chain: Prev is the Hash of the entry before, and Hash that of the
// entry with it, so that one that is altered, dropped or swapped breaks the chain.
type Audit struct {
	// Seq counts the entries from 1, without gaps.
	Seq int64     `json:"seq"`
	At  time.Time `json:"at"`
	// Delivery is the GUID of the webhook that asked; "" where none did.
	Delivery string `json:"delivery,omitempty"`
	// ActorID and Actor are GitHub's for who asked; 0 and "idp" for what idp does of
	// itself, 0 and the name of an account of the server for what its operator does.
	ActorID int64  `json:"actorID,omitempty"`
	Actor   string `json:"actor"`
	// Action is the command or event, such as "extend 24h".
	Action string `json:"action"`
	// Environment is "owner/repo/id", SHA the revision it concerns.
	Environment string `json:"environment,omitempty"`
	SHA         string `json:"sha,omitempty"`
	Allowed     bool   `json:"allowed"`
	// Reason says what came of it, or why it was refused.
	Reason string `json:"reason,omitempty"`
	// Rule is by what it was allowed or refused: the rule of who may, the policies, or why a
	// preview comes and goes; "" of what idp does of itself, whose reason says it, and in
	// entries from before it was kept.
	Rule string `json:"rule,omitempty"`
	// Prev is "" in the first entry. Hash is the SHA-256, in hexadecimal, of the line
	// without its "hash".
	Prev string `json:"prev"`
	Hash string `json:"hash,omitempty"`
}

// Line is the entry as a line of JSON, without a line feed.
func (a Audit) Line() []byte {
	a.At = a.At.UTC()
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(a); err != nil {
		panic(err) // there is nothing in it that JSON cannot say
	}
	return bytes.TrimRight(line.Bytes(), "\n")
}

// Sum is what Hash has to be.
func (a Audit) Sum() string {
	a.Hash = ""
	sum := sha256.Sum256(a.Line())
	return hex.EncodeToString(sum[:])
}

// AuditTrailer names, in each commit to the GitOps repository, the entry that the log
// had come to by then: idp cannot take it back from whoever has fetched it.
const AuditTrailer = "Idp-Audit"

// AuditChain is where a chain of entries has come to: its last entry. The zero AuditChain is
// the beginning.
type AuditChain struct {
	Seq  int64
	Hash string
}

// String is how a commit names the chain's end in its trailer; "" at the beginning.
func (c AuditChain) String() string {
	if c == (AuditChain{}) {
		return ""
	}
	return fmt.Sprintf("%d %s", c.Seq, c.Hash)
}

// ParseAuditChain reads what String wrote.
func ParseAuditChain(text string) (AuditChain, bool) {
	number, hash, _ := strings.Cut(text, " ")
	seq, err := strconv.ParseInt(number, 10, 64)
	sum, notHex := hex.DecodeString(hash)
	return AuditChain{Seq: seq, Hash: hash}, err == nil && notHex == nil && seq > 0 && len(sum) == sha256.Size
}

// Append links an entry to the chain's end and moves that. What is no text in it is
// replaced: every reader has to see the same.
func (c *AuditChain) Append(a Audit) Audit {
	for _, s := range []*string{&a.Delivery, &a.Actor, &a.Action, &a.Environment, &a.SHA, &a.Reason, &a.Rule} {
		*s = strings.ReplaceAll(strings.ToValidUTF8(*s, "\uFFFD"), "\x00", "\uFFFD")
	}
	a.Seq, a.Prev = c.Seq+1, c.Hash
	a.Hash = a.Sum()
	*c = AuditChain{Seq: a.Seq, Hash: a.Hash}
	return a
}

// Check says what is wrong with an entry that is found behind the chain's end, "" where
// nothing is, and goes on from it either way.
func (c *AuditChain) Check(a Audit) string {
	before := *c
	*c = AuditChain{Seq: a.Seq, Hash: a.Hash}
	switch {
	case a.Seq <= before.Seq:
		return fmt.Sprintf("entry %d stands behind entry %d", a.Seq, before.Seq)
	case a.Seq == before.Seq+2:
		return fmt.Sprintf("entry %d is missing", a.Seq-1)
	case a.Seq > before.Seq+2:
		return fmt.Sprintf("entries %d to %d are missing", before.Seq+1, a.Seq-1)
	case a.Prev != before.Hash:
		return fmt.Sprintf("entry %d does not follow the entry before it", a.Seq)
	case a.Hash != a.Sum():
		return fmt.Sprintf("entry %d was altered", a.Seq)
	}
	return ""
}

// itself is the actor of what nobody asked for.
const itself = "idp"

// Decided returns the entries of a change of a row that no delivery brought: what idp
// took away, went back to, let go on or gave up of itself. How far something has come
// is no decision and has none.
func Decided(before, after Environment) []Audit {
	var out []Audit
	add := func(action, sha string, allowed bool, reason string) *Audit {
		out = append(out, Audit{Actor: itself, Action: action, Environment: after.Ref.String(), SHA: sha, Allowed: allowed, Reason: reason})
		return &out[len(out)-1]
	}
	if before.Wanted == Present && after.Wanted == Absent {
		add("remove", after.HeadSHA, true, removed(&after))
		if by := after.Removal; by.By != "" {
			out[0].Actor, out[0].ActorID = by.By, by.ByID
		}
	}
	if before.Pinned && !after.Pinned && after.Wanted == Present {
		add("unpin", after.HeadSHA, true, "nobody can take the pin back any more, in a repository that is archived or out of idp's reach")
	}
	if after.Wanted == Present && !after.WarnedAt.IsZero() && after.ExpiresAt.After(before.ExpiresAt) && !before.ExpiresAt.IsZero() {
		add("postpone", after.HeadSHA, true, "nobody had been told that it expires")
	}
	if lost := after.Lost; lost != nil && after.Declared() && !after.Shared() && (before.Lost == nil || *before.Lost != *lost) {
		add("keep", after.SHA, true, lost.String()+"; a declared environment goes by the operator's word alone")
	}
	if p := after.Problem; p != nil && (before.Problem == nil || p.Kind != before.Problem.Kind || p.SHA != before.Problem.SHA || p.Message != before.Problem.Message) {
		add("refuse", p.SHA, false, p.Message).Rule = p.Rule
	}
	if before.Declared() && after.Declared() {
		was, is := before.Deployed, after.Deployed
		switch {
		case is.Fallback != nil && (was.Fallback == nil || !is.Fallback.At.Equal(was.Fallback.At)):
			add("roll back", is.Current.SHA, true, is.Fallback.Reason)
		case is.Current.SHA != was.Current.SHA && !after.Shared() && after.Wanted == Present:
			add("start "+string(is.Current.Kind), is.Current.SHA, true, "its turn came")
		}
	}
	return out
}

func removed(e *Environment) string {
	what, r := "preview", e.Removal
	if e.Declared() {
		what = "environment"
	}
	why := string(r.Reason)
	switch r.Reason {
	case RemovedByOperator:
		why = "by the operator of the server"
	case RemovedExpired:
		why = "it expired"
	case RemovedEvicted:
		why = "it made room"
	case RemovedDeleted:
		why = "the repository was deleted"
	}
	if r.Detail != "" {
		why += ", " + r.Detail
	}
	return what + " removed: " + why
}
