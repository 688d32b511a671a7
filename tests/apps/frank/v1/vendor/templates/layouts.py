def page(title, text):
    return "%s: %s\n" % (title, text)
