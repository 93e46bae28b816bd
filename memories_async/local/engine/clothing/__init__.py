"""When clothing like that in a picture was seen before a fixed camera; `persons` says it in words."""
