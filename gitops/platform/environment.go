package platform

import "time"

// Environment is a declared environment.
type Environment struct {
	Name, Class    string
	Namespace      string
	Permission     string
	Users          []string
	Checks         []string
	Protected      bool
	Approval       bool
	AutoDeploy     bool
	Logs           string
	RolloutTimeout time.Duration
}

// Platform is everything declared.
type Platform struct {
	Classes      map[string]Class
	Environments []Environment
}

// ClassOf returns the class of a name, or otherwise where there is none of it.
func (p Platform) ClassOf(name string, otherwise Class) Class {
	if c, ok := p.Classes[name]; ok {
		return c
	}
	return otherwise
}
