package report

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/previews"
)

// maxDenials is how many denials are listed.
const maxDenials = 20

// policyVerdict words what policies refuse. One that could not be asked stays as it was
// split: its file and line are what the platform team has to see.
func policyVerdict(v *verdict, p *previews.Problem) {
	if len(p.Denials) == 0 {
		return
	}
	name, _, _ := strings.Cut(p.Denials[0], ": ")
	v.title = "Refused by policy: " + plain(name, 120)
	if more := len(p.Denials) - 1; more > 0 {
		v.title += fmt.Sprintf(", and %d more", more)
	}
	var lines []string
	for i, denial := range p.Denials {
		if i == maxDenials {
			lines = append(lines, "and "+plural(len(p.Denials)-maxDenials, "more denial"))
			break
		}
		lines = append(lines, sentence(denial))
	}
	v.cause = "- " + strings.Join(lines, "\n- ") + "\n\nNothing of " + Code(short(p.SHA)) + " was deployed."
	if v.next == "" {
		v.next = "Fix and push. Where it is not for you to fix, the platform team writes the policies; " + Code("/idp preview") + " asks again."
	}
}
