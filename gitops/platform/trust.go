package platform

import "slices"

// Trust is how far the code of an environment is trusted: what decides which of its
// class's objects it gets. Who decides it is bot.Origin; it is kept with the environment.
type Trust string

// The trust classes, the most trusted first. TrustUnknown, the zero value, is trusted as
// little as a fork.
const (
	TrustDefaultBranch Trust = "default-branch" // a commit of the default branch, in a declared environment
	TrustMember        Trust = "member"         // a head in the repository itself, opened and pushed by people
	TrustBot           Trust = "bot"            // opened or pushed by a bot
	TrustFork          Trust = "fork"           // a head in another repository
	TrustUnknown       Trust = ""
)

// Trusts returns the trust classes that a class file names, the most trusted first.
func Trusts() []Trust { return []Trust{TrustDefaultBranch, TrustMember, TrustBot, TrustFork} }

// Secrets says whether code of this trust may have any secret: never that of bots, of forks,
// and of whom nobody knows.
func (t Trust) Secrets() bool { return t == TrustDefaultBranch || t == TrustMember }

// orLeast is a trust class that a class file can name.
func (t Trust) orLeast() Trust {
	if !slices.Contains(Trusts(), t) {
		return TrustFork
	}
	return t
}
