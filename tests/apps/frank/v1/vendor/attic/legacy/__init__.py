def motto():
    return "nothing is thrown away"
