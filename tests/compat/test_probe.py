import time
import gto.api, dvc.api
from modelregistry import Registry
from tests.compat.views import *

def test_a(project, agree):
    r = Registry(project)
    t=time.time(); r.register("churn", rev="main~4"); print("register", time.time()-t)
    t=time.time(); r.promote("churn","v0.1.0","current"); print("promote", time.time()-t)
    t=time.time(); agree(project, r, "churn"); print("agree", time.time()-t)
    t=time.time(); gto.api.show(project); print("show", time.time()-t)
    t=time.time(); print(seen_by_dvc(project, r, "churn", stage="current")); print("dvc", time.time()-t)

def test_b(commits, gto_writes, registry, agree):
    t=time.time()
    print(gto_writes("register","m","main"))
    print(gto_writes("assign","m","prod",version="v0.0.1"))
    print(gto_writes("assign","m","prod",ref="main~1"))
    print("writes", time.time()-t)
    print(git(commits,"cat-file","tag","m#prod#1"))
    agree(commits, registry,"m")
