package load

import (
	"os"
	"testing"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

func TestMain(m *testing.M) { os.Exit(secrettest.Main(m)) }
