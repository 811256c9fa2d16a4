package previews

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/repo"
)

// Update is what a part of a declared environment has beside, whose deployments change
// values in files that a team has already: nothing of it is rendered. Its folder holds idp's
// record alone, which says what was written where.
type Update struct {
	// Application is the one in Argo CD that reads the files, which is the team's; "" of the
	// shared part, which has nothing in any.
	Application string `json:"application,omitempty"`
	// Fields are what was last set out to be written.
	Fields []inplace.Write `json:"fields,omitempty"`
}

// Files are the files that have fields, each once, in order.
func (u *Update) Files() []string {
	var out []string
	if u == nil {
		return nil
	}
	for _, w := range u.Fields {
		if !slices.Contains(out, w.File) {
			out = append(out, w.File)
		}
	}
	return out
}

// Application is the name of the Application in Argo CD that syncs the environment: one that
// idp lists, or a team's own; "" where there is none.
func (e *Environment) Application() string {
	if e.Update != nil {
		return e.Update.Application
	}
	return e.Ref.Name()
}

// followed says that Argo CD has something to tell of what is committed. What a team's own
// Application becomes when idp's record goes is nobody's business here.
func (e *Environment) followed() bool {
	return e.Update == nil || e.Wanted == Present && e.Update.Application != ""
}

// handEdit is a field that holds something else than idp wrote there last.
type handEdit struct {
	write    inplace.Write
	was, now string
}

func (e *handEdit) Error() string {
	return fmt.Sprintf("%s is %q, and idp wrote %q there", e.write.Field, e.now, e.was)
}

// edits are what is done to the files of a row's team. What others wrote to a field since
// idp did is theirs, unless somebody has asked to replace it: the record that stands beside
// the file, in one commit with it, says what idp wrote.
func edits(row Environment, u *Update) []repo.Edit {
	if u == nil {
		return nil
	}
	var out []repo.Edit
	for _, file := range u.Files() {
		out = append(out, repo.Edit{Path: file, Beside: row.Ref.RecordPath(), Apply: func(content, record []byte) ([]byte, error) {
			return apply(content, record, u.Fields, file, row.Overwrite)
		}})
	}
	return out
}

// apply writes the fields of a file, where they hold what the record says or nobody wrote them.
func apply(content, record []byte, fields []inplace.Write, file string, overwrite bool) ([]byte, error) {
	var before []inplace.Write
	if len(record) > 0 && !overwrite {
		read, err := render.ParseRecord(record)
		if err != nil {
			return nil, fmt.Errorf("it is not known what idp wrote there last: %w", err)
		}
		before = read.Written()
	}
	for _, w := range fields {
		if w.File != file {
			continue
		}
		now, err := inplace.Read(content, w.Field)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(before, func(b inplace.Write) bool { return b.Same(w.Field) })
		if i >= 0 && now != before[i].Value && now != w.Value {
			return nil, &handEdit{write: w, was: before[i].Value, now: now}
		}
		if content, err = inplace.Edit(content, w); err != nil {
			return nil, err
		}
	}
	return content, nil
}

// editProblem is why a team's file was not written. Reports name the command that tries again.
func editProblem(c repo.Conflict) Problem {
	by := ""
	if c.Commit != "" {
		by = fmt.Sprintf(" (last changed by %s in commit %.7s)", c.Author, c.Commit)
	}
	if hand, ok := errors.AsType[*handEdit](c.Err); ok {
		return Problem{
			Kind: ProblemChanged, Message: hand.Error() + by + ", so idp left it alone",
			Hint: "Trying again replaces that.",
		}
	}
	p := Problem{
		Kind: ProblemUpdate, Message: c.File + " in the GitOps repository cannot be changed: " + c.Err.Error() + by,
		Hint: "Mend that, or what the platform team declares of it.",
	}
	if wrong, ok := errors.AsType[*inplace.Error](c.Err); ok {
		p.Message = "the GitOps repository's file cannot be changed: " + wrong.Error() + by
		if wrong.Hint != "" {
			p.Hint = strings.ToUpper(wrong.Hint[:1]) + wrong.Hint[1:] + "."
		}
	}
	return p
}

// setOut notes what is about to be written of a generation: to files of others, from which
// charts, and by which digests images of others run. A later generation asks for those anew.
func (e *Environment) setOut(r Rendered, generation int64) {
	e.Charts = r.Charts
	if e.Generation == generation {
		e.Source = e.Source.pinned(&Source{Pins: r.Pins})
	}
	if r.Update != nil {
		e.Update = r.Update
	}
}
